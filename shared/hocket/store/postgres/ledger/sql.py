# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The statements of the PostgreSQL driver about step runs; those of the group commit are in `sql.py`."""

from hocket.store import sql as shared
from hocket.store.postgres.sql import NOW, kinds
from hocket.store.purge import FINAL_RUNS_SQL
from hocket.store.sql import INBOX_NAMES, LEDGER_NAMES

_ROW = ", ".join("l." + name for name in LEDGER_NAMES)
#: Owner and boot are blank where the owner's lease is over (RULES 5.2).
_LIVES = (
    f"l.boot = {{boot}} OR EXISTS (SELECT 1 FROM hocket_owners o WHERE o.boot = l.boot AND o.until > {NOW}) AS lives"
)
RUNS = f"SELECT {_ROW}, {_LIVES.format(boot='$2')} FROM hocket_ledger l WHERE l.run = ANY($1::bytea[])"
LOCK = f"{RUNS} ORDER BY l.run FOR UPDATE OF l"
KEPT = shared.KEPT.format(runs="ANY($1::bytea[])")

_NO_INBOX = ", ".join(f"NULL::{kind}" for kind in kinds(INBOX_NAMES))
_NO_RUN = ", ".join(f"NULL::{kind}" for kind in [*kinds(LEDGER_NAMES), "boolean"])
#: Where the columns of an inbox row and of a run stand in the answer; the first one is the array of what was begun.
ADMITTED_INBOX = slice(1, 1 + len(INBOX_NAMES))
ADMITTED_RUN = slice(1 + len(INBOX_NAMES), None)

#: $1 inbox keys, $2 runs, $3 boot; then the runs to begin, a column each, where inbox and ledger know nothing of them.
ADMIT = f"""WITH fresh AS (
INSERT INTO hocket_ledger ({", ".join(LEDGER_NAMES)})
SELECT a.run, a.correlation_id, a.step, a.scope, 'begun', a.owner, $3::text, a.inbox_key, ''::bytea, 0, 0, 1, {NOW}
FROM unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
AS a(run, correlation_id, step, scope, owner, inbox_key)
WHERE NOT EXISTS (SELECT 1 FROM hocket_inbox i WHERE i.key = a.inbox_key) ORDER BY a.run
ON CONFLICT (run) DO NOTHING RETURNING run
)
SELECT ARRAY(SELECT run FROM fresh), {_NO_INBOX}, {_NO_RUN}
UNION ALL SELECT NULL::bytea[], {", ".join(INBOX_NAMES)}, {_NO_RUN} FROM hocket_inbox WHERE key = ANY($1::bytea[])
UNION ALL SELECT NULL::bytea[], {_NO_INBOX}, {_ROW}, {_LIVES.format(boot="$3::text")}
FROM hocket_ledger l WHERE l.run = ANY($2::bytea[])"""

#: $1 runs, $2 their new names: renames those that nobody works on and whose new name nobody has (RULES 5.1).
RENAME = f"""WITH free AS (SELECT l.run, l.kept, a.new FROM hocket_ledger l
JOIN unnest($1::bytea[], $2::bytea[]) a(run, new) ON a.run = l.run
WHERE l.state <> 'undoing' AND (l.state <> 'begun' OR l.boot = '' OR NOT EXISTS
(SELECT 1 FROM hocket_owners o WHERE o.boot = l.boot AND o.until > {NOW}))
AND NOT EXISTS (SELECT 1 FROM hocket_ledger t WHERE t.run = a.new) ORDER BY l.run FOR UPDATE OF l SKIP LOCKED),
named AS (UPDATE hocket_kept k SET run = free.new FROM free WHERE k.id = free.kept)
UPDATE hocket_ledger l SET run = free.new, version = version + 1 FROM free WHERE l.run = free.run"""
#: How many of these could not be renamed because another run or a tombstone has the new name.
TAKEN = """SELECT count(*) FROM unnest($1::bytea[], $2::bytea[]) a(run, new)
JOIN hocket_ledger l ON l.run = a.run JOIN hocket_ledger t ON t.run = a.new"""

_OLD = f"state IN ({FINAL_RUNS_SQL}) AND updated < $2"
_EMPTY = shared.EMPTIED.format(before="$2")
_DROP = "DELETE FROM hocket_kept k USING gone WHERE k.id = gone.kept"
#: Removes runs that are still final and old, with what is kept of them (RULES 2.7); how many.
PURGE = f"""WITH gone AS (DELETE FROM hocket_ledger WHERE run = ANY($1::bytea[]) AND {_OLD} RETURNING kept),
dropped AS ({_DROP}) SELECT count(*) FROM gone"""
#: Leaves the row alone of runs that have nothing left to undo (RULES 5.4).
EMPTY = f"""WITH gone AS (SELECT run, kept FROM hocket_ledger WHERE run = ANY($1::bytea[]) AND {_EMPTY} FOR UPDATE),
dropped AS ({_DROP})
UPDATE hocket_ledger l SET failure = ''::bytea, kept = 0, version = version + 1 FROM gone WHERE l.run = gone.run"""
