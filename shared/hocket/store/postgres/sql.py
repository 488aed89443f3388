# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The statements of the PostgreSQL driver; the group commit is one statement, so one round trip.

What is written comes as one array a column. `asked` are the inbox writes, `put` those that won, `winners` the endings
that won; ledger and outbox rows are written only for them.
"""

from hocket.store import sql as shared
from hocket.store.purge import FURTHEST_SECONDS
from hocket.store.records import COMMAND_OWNER
from hocket.store.schema import INBOX, LEDGER, OUTBOX
from hocket.store.sql import BREAKER_NAMES, INBOX_NAMES, LEDGER_NAMES, OUTBOX_NAMES, overwritten

_TYPES = {"BIGINT": "bigint", "TEXT": "text", "DOUBLE": "double precision", "BLOB": "bytea"}


def kinds(names: list[str]) -> list[str]:
    """PostgreSQL's types of these columns of inbox, outbox and ledger."""
    columns = {column.name: column for table in (INBOX, OUTBOX, LEDGER) for column in table.columns}
    return [_TYPES.get(str(columns[name].type), "text") for name in names]


#: The store's clock: replicas need not agree on the time (RULES 11.1).
NOW = "extract(epoch FROM clock_timestamp())::double precision"

_OUTBOX = OUTBOX_NAMES[1:]  # the database gives the id

_IN = ", ".join(INBOX_NAMES)
_OUT = ", ".join(_OUTBOX)
_LED = ", ".join(LEDGER_NAMES)


def _arrays(first: int, types: list[str]) -> str:
    return ", ".join(f"${first + at}::{each}[]" for at, each in enumerate(types))


_ASKED_KINDS = [*kinds(INBOX_NAMES), "integer", "bigint", "boolean", "boolean"]
_SAID_KINDS = ["integer", *kinds(_OUTBOX)]
_TOLD_KINDS = ["integer", "bytea"]
_MOVED_KINDS = ["integer", *kinds(LEDGER_NAMES), "boolean", "bytea", "text"]
_CLAIMED_KINDS = ["integer", "bytea", "text"]
_FREE = len(_ASKED_KINDS) + 1
_SAID = _FREE + 1
_TOLD = _SAID + len(_SAID_KINDS)
_MOVED = _TOLD + len(_TOLD_KINDS) + 2
_CLAIMED = _MOVED + len(_MOVED_KINDS)

#: An inbox row is remembered from the later of its arrival and its event's `time` (RULES 2.7).
_UPDATED = f"greatest({NOW}, least(updated, {NOW} + {FURTHEST_SECONDS}))"
_IN_VALUES = ", ".join(_UPDATED if name == "updated" else name for name in INBOX_NAMES)
#: A row without a moment of its own is due `wait` seconds from now.
_DUE = f"CASE WHEN s.due > 0 THEN s.due ELSE {NOW} + s.wait END AS due"
_OUT_VALUES = ", ".join(_DUE if name == "due" else f"s.{name}" for name in _OUTBOX)
_LED_VALUES = ", ".join({"updated": NOW, "kept": "m.keep"}.get(name, f"m.{name}") for name in LEDGER_NAMES)
#: What the end of a run changes of its row; whose run it is stays, but a refused input brings its own flow (RULES 5.3).
_CHANGED = [name for name in LEDGER_NAMES if name not in {"run", "step", "scope"}]
_CHANGES = ", ".join(
    f"{name} = {value}"
    for name, value in zip(
        _CHANGED, [{"updated": NOW, "kept": "m.keep"}.get(each, f"m.{each}") for each in _CHANGED], strict=True
    )
)

#: RULES 3.1: the row is not final and its attempt is lower; or it is dead, the run a replay, its attempt lower.
_BEATS = "{known}.attempt < a.run_attempt AND ({known}.state = 'retry' OR ({known}.state = 'dead' AND a.replay))"
_ASKED = f"""asked AS MATERIALIZED (
SELECT * FROM unnest({_arrays(1, _ASKED_KINDS)}) AS a({_IN}, at, run_attempt, replay, forced)
)"""


def _put(where: str) -> str:
    return f"""put AS (
INSERT INTO hocket_inbox AS mine ({_IN}) SELECT {_IN_VALUES} FROM asked {where} ORDER BY key
ON CONFLICT (key) DO UPDATE SET {overwritten(INBOX_NAMES)}
WHERE (SELECT a.forced OR ({_BEATS.format(known="mine")}) FROM asked a WHERE a.key = excluded.key)
RETURNING mine.key
), winners AS MATERIALIZED (
SELECT a.at FROM asked a JOIN put ON put.key = a.key
UNION ALL SELECT at FROM unnest(${_FREE}::integer[]) AS f(at) {where}
)"""


_PUT = f"{_ASKED}, {_put('')}"

#: Receipts of the winners become one row, `[` and `]` around them (RULES 3.4); it comes after the rows of all.
_SAY = f"""told AS (
SELECT '\\x5b'::bytea || string_agg(t.receipt, '\\x2c'::bytea ORDER BY t.at) || '\\x5d'::bytea AS body
FROM unnest({_arrays(_TOLD, _TOLD_KINDS)}) AS t(at, receipt) JOIN winners w ON w.at = t.at
), said AS (
INSERT INTO hocket_outbox ({_OUT}) SELECT {_OUT} FROM (
SELECT s.at, {_OUT_VALUES}, nth FROM unnest({_arrays(_SAID, _SAID_KINDS)}) WITH ORDINALITY AS s(at, {_OUT}, nth)
JOIN winners w ON w.at = s.at
UNION ALL SELECT 2147483647, 'receipt', {NOW}, ${_TOLD + 2}::text, '', '', ''::bytea, '',
${_TOLD + 3}::text, '', body, 'application/json', '{{}}', '', '', '', 0, 0, 0 FROM told WHERE body IS NOT NULL
ORDER BY 1, nth) AS ordered RETURNING id
)"""

#: RULES 3.1, 3.3: first the ledger, by run, then the inbox, by key. `held` are rows that are as they were read, `born`
#: those that were not there and still are not; an ending with another row writes nothing. `m.version` is the next one.
_HOLD = f"""moves AS MATERIALIZED (
SELECT m.*, CASE WHEN m.keeps THEN nextval('hocket_kept_id_seq') ELSE m.kept END AS keep
FROM unnest({_arrays(_MOVED, _MOVED_KINDS)}) AS m(at, {_LED}, keeps, input, results)
), held AS MATERIALIZED (
SELECT l.run FROM hocket_ledger l JOIN moves m ON m.run = l.run WHERE l.version = m.version - 1
ORDER BY l.run FOR UPDATE OF l
), beaten AS MATERIALIZED (
SELECT m.at FROM moves m JOIN asked a ON a.at = m.at JOIN hocket_inbox i ON i.key = a.key
WHERE m.version = 1 AND NOT (a.forced OR ({_BEATS.format(known="i")}))
), born AS (
INSERT INTO hocket_ledger ({_LED}) SELECT {_LED_VALUES} FROM moves m
WHERE m.version = 1 AND m.at NOT IN (SELECT at FROM beaten) ORDER BY m.run
ON CONFLICT (run) DO NOTHING RETURNING run
), others AS MATERIALIZED (
SELECT at FROM moves WHERE at NOT IN (SELECT at FROM beaten)
AND run NOT IN (SELECT run FROM held UNION ALL SELECT run FROM born)
), fenced AS MATERIALIZED (
SELECT c.at FROM unnest({_arrays(_CLAIMED, _CLAIMED_KINDS)}) AS c(at, run, owner) WHERE NOT EXISTS (
SELECT 1 FROM hocket_ledger l WHERE l.run = c.run AND l.state = 'begun' AND l.owner = c.owner)
)"""
_FREE_TO_WRITE = "WHERE at NOT IN (SELECT at FROM others UNION ALL SELECT at FROM fenced)"

_MOVE = f"""keep AS (
INSERT INTO hocket_kept (id, run, input, results) SELECT m.keep, m.run, m.input, m.results
FROM moves m JOIN winners w ON w.at = m.at WHERE m.keeps
), dropped AS (
DELETE FROM hocket_kept k USING moves m JOIN winners w ON w.at = m.at WHERE m.keeps AND m.kept > 0 AND k.id = m.kept
), moved AS (
UPDATE hocket_ledger l SET {_CHANGES} FROM moves m JOIN winners w ON w.at = m.at
WHERE l.run = m.run AND l.version = m.version - 1
)"""

#: News of the breakers: each change of one makes the sum higher (RULES 6.3).
_NEWS = "(SELECT coalesce(sum(version), 0)::bigint FROM hocket_breakers)"

_ANSWER = f"""SELECT ARRAY(SELECT at FROM winners) AS won, ARRAY(SELECT id FROM said ORDER BY id) AS ids,
{_NEWS} AS news"""
#: A row that was born for one that lost its inbox row must not stand: the division undoes the whole statement.
_ANSWER_LEDGER = f"""{_ANSWER}, ARRAY(SELECT at FROM others) AS again, 1 / CASE WHEN EXISTS (
SELECT 1 FROM born JOIN moves m ON m.run = born.run WHERE m.at NOT IN (SELECT at FROM winners)) THEN 0 ELSE 1 END"""

WRITE = f"WITH {_PUT}, {_SAY} {_ANSWER}"
WRITE_LEDGER = f"WITH {_ASKED}, {_HOLD}, {_put(_FREE_TO_WRITE)}, {_SAY}, {_MOVE} {_ANSWER_LEDGER}"
#: Only the inbox, for endings of one call that share a key: each must see what the one before has left.
WIN = f"WITH {_PUT} SELECT ARRAY(SELECT at FROM winners) AS won"

#: Fails where nothing can be written: on a standby, on a database that is read only, without a connection.
NOTHING = "UPDATE hocket_meta SET value = value WHERE name = 'schema'"

LOOK = f"SELECT {_IN} FROM hocket_inbox WHERE key = ANY($1::bytea[])"

OWN = f"""SELECT id, {_OUT} FROM hocket_outbox
WHERE owner = $1 AND refused IS NULL AND id > $2 ORDER BY id LIMIT $3"""

CLAIM = f"""UPDATE hocket_outbox AS o SET owner = $1 FROM (SELECT id FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND due <= {NOW} AND id <= $2 ORDER BY due, id LIMIT $3
FOR UPDATE SKIP LOCKED) AS found WHERE o.id = found.id
RETURNING o.id, {", ".join("o." + name for name in _OUTBOX)}"""

FORGET = "DELETE FROM hocket_outbox WHERE id = ANY($1::bigint[])"

#: Removes those of the rows that are still final and old (RULES 2.7).
PURGE_INBOX = """DELETE FROM hocket_inbox WHERE key = ANY($1::bytea[])
AND (state IN ('handled', 'refused') AND updated < $2 OR state = 'dead' AND updated < $3)"""

#: Counts stop at $1: a million timers are known to be many, and are not counted each time.
WAITING = f"""WITH waits AS (
(SELECT kind, due FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL LIMIT $1) UNION ALL
(SELECT kind, due FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due <= {NOW} LIMIT $1))
SELECT count(*) FILTER (WHERE kind IN ('event', 'scheduled')), count(*) FILTER (WHERE kind = 'receipt'),
(SELECT count(*) FROM (SELECT 1 FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due > {NOW} LIMIT $1) l),
(SELECT count(*) FROM (SELECT 1 FROM hocket_outbox WHERE refused IS NOT NULL LIMIT $1) r),
coalesce(greatest({NOW} - min(due), 0), 0) FROM waits"""

BEGIN_LEASE = f"""INSERT INTO hocket_owners (boot, until, wait) VALUES ($1, {NOW} + $2, $2)
ON CONFLICT (boot) DO UPDATE SET until = excluded.until, wait = excluded.wait"""
RENEW = f"""WITH held AS (SELECT until > {NOW} AS yes FROM hocket_owners WHERE boot = $1) {BEGIN_LEASE}
RETURNING coalesce((SELECT yes FROM held), false), {_NEWS}"""
END_LEASE = "DELETE FROM hocket_owners WHERE boot = $1"

_BRK = ", ".join(BREAKER_NAMES)
_LIVING = f"""ARRAY(SELECT boot FROM hocket_owners
WHERE until > {NOW} AND NOT starts_with(boot, '{COMMAND_OWNER}') ORDER BY boot)"""
LIVING = f"SELECT {_LIVING}"
#: A breaker, the store's clock, the owners that live, and the news.
BREAKERS = f"SELECT {_BRK}, {NOW}, {_LIVING}, {_NEWS} FROM hocket_breakers ORDER BY name"
BREAKER = f"SELECT {_BRK}, {NOW}, {_LIVING}, {_NEWS} FROM hocket_breakers WHERE name = $1"
NEW_BREAKER = f"""INSERT INTO hocket_breakers ({_BRK})
VALUES ({", ".join(f"${at}" for at, _ in enumerate(BREAKER_NAMES, 1))}) ON CONFLICT DO NOTHING"""
#: Everything that was decided by is compared: PostgreSQL does so on the row that it waited for.
CHANGE_BREAKER = f"""UPDATE hocket_breakers
SET {", ".join(f"{name} = ${at}" for at, name in enumerate(BREAKER_NAMES[1:], 2))}
WHERE name = $1 AND ({", ".join(BREAKER_NAMES[1:])}) IS NOT DISTINCT FROM
({", ".join(f"${at}" for at, _ in enumerate(BREAKER_NAMES[1:], len(BREAKER_NAMES) + 1))})"""

#: Owners of rows that have no lease (any more), each found by one step of the index.
_GONE = f"""WITH RECURSIVE o(owner) AS (
(SELECT owner FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL ORDER BY owner LIMIT 1) UNION ALL
SELECT (SELECT b.owner FROM hocket_outbox b WHERE b.owner > o.owner AND b.owner IS NOT NULL AND b.refused IS NULL
ORDER BY b.owner LIMIT 1) FROM o WHERE o.owner IS NOT NULL
), gone AS (SELECT owner FROM o WHERE owner IS NOT NULL AND owner <> $1 AND NOT EXISTS (
SELECT 1 FROM hocket_owners h WHERE h.boot = o.owner AND h.until > {NOW}))"""
TAKE_OVER = f"""{_GONE} UPDATE hocket_outbox AS t SET owner = $1 FROM (SELECT b.id FROM hocket_outbox b
WHERE b.owner IN (SELECT owner FROM gone) AND b.refused IS NULL LIMIT $2 FOR UPDATE SKIP LOCKED) AS found
WHERE t.id = found.id"""
#: Leases that ended long ago; a row that names such an owner has none all the same.
TIDY = f"DELETE FROM hocket_owners WHERE until < {NOW} - 86400"

NEXT_DUE = shared.NEXT_DUE.format(now=NOW)
CANCEL = shared.CANCEL.format(now=NOW)
PUT_RIGHT = shared.PUT_RIGHT.format(now=NOW, limit="$1", lock="FOR UPDATE SKIP LOCKED")
#: The same for leases of owners that are gone: nobody renews them.
PUT_LEASES_RIGHT = f"UPDATE hocket_owners SET until = {NOW} + wait WHERE wait > 0 AND until - wait > {NOW}"
TIME = f"SELECT {NOW}, coalesce(({shared.HORIZON})::double precision, 0)"
SWEPT = f"SELECT ({shared.SWEPT})::double precision BETWEEN {NOW} - $1 AND {NOW}"
END_SWEEP = shared.STAMP.format(name="'swept'", value=f"({NOW})::text")
#: RULES 2.7: the horizon moves forward only, at most so many seconds at once, and never past what is to be kept.
MOVE_HORIZON = f"""INSERT INTO hocket_meta AS m (name, value) VALUES ('horizon', ({NOW} - $1)::text)
ON CONFLICT (name) DO UPDATE SET value = greatest(m.value::double precision,
least({NOW} - $1, m.value::double precision + $2))::text RETURNING value::double precision"""
