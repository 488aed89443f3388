# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The statements of the PostgreSQL driver; the group commit is one statement, so one round trip.

What is written comes as one array a column. `asked` are the inbox writes, `put` those that won, `winners` the endings
that won; ledger and outbox rows are written only for them.
"""

from hocket.store.purge import FINAL_RUNS_SQL
from hocket.store.schema import INBOX, LEDGER, OUTBOX
from hocket.store.sql import INBOX_NAMES, LEDGER_NAMES, OUTBOX_NAMES, overwritten

_TYPES = {"BIGINT": "bigint", "TEXT": "text", "DOUBLE": "double precision", "BLOB": "bytea"}


def _kinds(names: list[str]) -> list[str]:
    columns = {column.name: column for table in (INBOX, OUTBOX, LEDGER) for column in table.columns}
    return [_TYPES.get(str(columns[name].type), "text") for name in names]


_OUTBOX = OUTBOX_NAMES[1:]  # the database gives the id

_IN = ", ".join(INBOX_NAMES)
_OUT = ", ".join(_OUTBOX)
_LED = ", ".join(LEDGER_NAMES)


def _arrays(first: int, kinds: list[str]) -> str:
    return ", ".join(f"${first + at}::{kind}[]" for at, kind in enumerate(kinds))


_ASKED_KINDS = [*_kinds(INBOX_NAMES), "integer", "bigint", "boolean", "boolean"]
_SAID_KINDS = ["integer", *_kinds(_OUTBOX)]
_TOLD_KINDS = ["integer", "bytea"]
_MOVED_KINDS = ["integer", *_kinds(LEDGER_NAMES)]
_FREE = len(_ASKED_KINDS) + 1
_SAID = _FREE + 1
_TOLD = _SAID + len(_SAID_KINDS)
_MOVED = _TOLD + len(_TOLD_KINDS) + 3

#: RULES 3.1: the row is not final and its attempt is lower; or it is dead, the run a replay, its attempt lower.
_PUT = f"""asked AS MATERIALIZED (
SELECT * FROM unnest({_arrays(1, _ASKED_KINDS)}) AS a({_IN}, at, run_attempt, replay, forced)
), put AS (
INSERT INTO hocket_inbox AS mine ({_IN}) SELECT {_IN} FROM asked ORDER BY key
ON CONFLICT (key) DO UPDATE SET {overwritten(INBOX_NAMES)}
WHERE (SELECT a.forced OR (mine.attempt < a.run_attempt AND (mine.state = 'retry' OR (mine.state = 'dead'
AND a.replay))) FROM asked a WHERE a.key = excluded.key)
RETURNING mine.key
), winners AS MATERIALIZED (
SELECT a.at FROM asked a JOIN put ON put.key = a.key UNION ALL SELECT unnest(${_FREE}::integer[])
)"""

#: Receipts of the winners become one row, `[` and `]` around them (RULES 3.4); it comes after the rows of all.
_SAY = f"""told AS (
SELECT '\\x5b'::bytea || string_agg(t.receipt, '\\x2c'::bytea ORDER BY t.at) || '\\x5d'::bytea AS body
FROM unnest({_arrays(_TOLD, _TOLD_KINDS)}) AS t(at, receipt) JOIN winners w ON w.at = t.at
), said AS (
INSERT INTO hocket_outbox ({_OUT}) SELECT {_OUT} FROM (
SELECT s.* FROM unnest({_arrays(_SAID, _SAID_KINDS)}) WITH ORDINALITY AS s(at, {_OUT}, nth)
JOIN winners w ON w.at = s.at
UNION ALL SELECT 2147483647, 'receipt', ${_TOLD + 2}::double precision, ${_TOLD + 3}::text, '', '', ''::bytea, '',
${_TOLD + 4}::text, '', body, 'application/json', '{{}}', '', '', '', 0, 0 FROM told WHERE body IS NOT NULL
ORDER BY 1, nth) AS ordered RETURNING id
)"""

_MOVE = f"""moved AS (
INSERT INTO hocket_ledger ({_LED}) SELECT {", ".join("m." + name for name in LEDGER_NAMES)}
FROM unnest({_arrays(_MOVED, _MOVED_KINDS)}) AS m(at, {_LED}) JOIN winners w ON w.at = m.at ORDER BY m.run
ON CONFLICT (run) DO UPDATE SET {overwritten(LEDGER_NAMES)}
)"""

_ANSWER = "SELECT ARRAY(SELECT at FROM winners) AS won, ARRAY(SELECT id FROM said ORDER BY id) AS ids"

WRITE = f"WITH {_PUT}, {_SAY} {_ANSWER}"
WRITE_LEDGER = f"WITH {_PUT}, {_SAY}, {_MOVE} {_ANSWER}"
#: Only the inbox, for endings of one call that share a key: each must see what the one before has left.
WIN = f"WITH {_PUT} SELECT ARRAY(SELECT at FROM winners) AS won"

#: Fails where nothing can be written: on a standby, on a database that is read only, without a connection.
NOTHING = "UPDATE hocket_meta SET value = value WHERE name = 'schema'"

LOOK = f"SELECT {_IN} FROM hocket_inbox WHERE key = ANY($1::bytea[])"

#: Owner and boot are blank where the owner's lease is over (RULES 5.2).
RUNS = f"""SELECT {", ".join("l." + name for name in LEDGER_NAMES)}, l.boot = $2 OR EXISTS (
SELECT 1 FROM hocket_owners o WHERE o.boot = l.boot AND o.until > extract(epoch FROM clock_timestamp())) AS lives
FROM hocket_ledger l WHERE l.run = ANY($1::text[])"""

OWN = f"""SELECT id, {_OUT} FROM hocket_outbox
WHERE owner = $1 AND refused IS NULL AND id > $2 ORDER BY id LIMIT $3"""

CLAIM = f"""UPDATE hocket_outbox AS o SET owner = $1 FROM (SELECT id FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND due <= $2 AND id <= $3 ORDER BY due, id LIMIT $4
FOR UPDATE SKIP LOCKED) AS found WHERE o.id = found.id
RETURNING o.id, {", ".join("o." + name for name in _OUTBOX)}"""

FORGET = "DELETE FROM hocket_outbox WHERE id = ANY($1::bigint[])"

#: Removes those of the rows that are still final and old (RULES 2.7).
PURGE_INBOX = """DELETE FROM hocket_inbox WHERE key = ANY($1::bytea[])
AND (state IN ('handled', 'refused') AND updated < $2 OR state = 'dead' AND updated < $3)"""
PURGE_LEDGER = f"""DELETE FROM hocket_ledger
WHERE run = ANY($1::text[]) AND state IN ({FINAL_RUNS_SQL}) AND updated < $2"""

#: Counts stop at $2: a million timers are known to be many, and are not counted each time.
WAITING = """WITH waits AS (
(SELECT kind, due FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL LIMIT $2) UNION ALL
(SELECT kind, due FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due <= $1 LIMIT $2))
SELECT count(*) FILTER (WHERE kind IN ('event', 'scheduled')), count(*) FILTER (WHERE kind = 'receipt'),
(SELECT count(*) FROM (SELECT 1 FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due > $1 LIMIT $2) l),
(SELECT count(*) FROM (SELECT 1 FROM hocket_outbox WHERE refused IS NOT NULL LIMIT $2) r),
coalesce(min(due), 0)::double precision FROM waits"""

#: The lease is measured by the database's clock: replicas need not agree on the time.
_NOW = "extract(epoch FROM clock_timestamp())"
BEGIN_LEASE = f"""INSERT INTO hocket_owners (boot, until) VALUES ($1, {_NOW} + $2)
ON CONFLICT (boot) DO UPDATE SET until = excluded.until"""
RENEW = f"""WITH held AS (SELECT until > {_NOW} AS yes FROM hocket_owners WHERE boot = $1) {BEGIN_LEASE}
RETURNING coalesce((SELECT yes FROM held), false)"""
END_LEASE = "DELETE FROM hocket_owners WHERE boot = $1"

#: Owners of rows that have no lease (any more), each found by one step of the index.
_GONE = f"""WITH RECURSIVE o(owner) AS (
(SELECT owner FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL ORDER BY owner LIMIT 1) UNION ALL
SELECT (SELECT b.owner FROM hocket_outbox b WHERE b.owner > o.owner AND b.owner IS NOT NULL AND b.refused IS NULL
ORDER BY b.owner LIMIT 1) FROM o WHERE o.owner IS NOT NULL
), gone AS (SELECT owner FROM o WHERE owner IS NOT NULL AND owner <> $1 AND NOT EXISTS (
SELECT 1 FROM hocket_owners h WHERE h.boot = o.owner AND h.until > {_NOW}))"""
TAKE_OVER = f"""{_GONE} UPDATE hocket_outbox AS t SET owner = $1 FROM (SELECT b.id FROM hocket_outbox b
WHERE b.owner IN (SELECT owner FROM gone) AND b.refused IS NULL LIMIT $2 FOR UPDATE SKIP LOCKED) AS found
WHERE t.id = found.id"""
#: Leases that ended long ago; a row that names such an owner has none all the same.
TIDY = f"DELETE FROM hocket_owners WHERE until < {_NOW} - 86400"
