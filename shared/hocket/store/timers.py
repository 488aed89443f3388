"""Time-outs in a store (RULES 5.7): their part of the port, their column values, and the SQL of both drivers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hocket.saga.overdue import TimerRow, TimerState
from hocket.store.records import OutboxRow, Purged
from hocket.store.schema import TIMERS
from hocket.store.sql import names_of

TIMER_NAMES = names_of(TIMERS)
TIMER_COLUMNS = ", ".join(TIMER_NAMES)
#: Rows of one state that are counted; there may be more.
COUNTED_TIMERS = 100_000
#: States that are final: the flow's next arming is itself too old when they are forgotten (RULES 5.7 j).
FINAL_TIMERS = ("mark", "met", "fired")
#: Characters of the id of a time-out.
RUN_CHARS = 40
FINAL_TIMERS_SQL = ", ".join(f"'{state}'" for state in FINAL_TIMERS)


class TimersWaiting(NamedTuple):
    """How many time-outs are armed, and for how many seconds the oldest one is due that was not called yet."""

    armed: int = 0
    lag: float = 0.0


class WaitingEntry(NamedTuple):
    """What waits for its time: a time-out, a scheduled event or a retry, as a person sees it."""

    kind: str  # timeout, scheduled or retry
    id: str
    subscription: str  # "" of a scheduled event
    subject: str
    type: str  # of what armed it, of what will be said, of what is tried again
    scope: str  # of a time-out
    state: str  # of a time-out: armed or called; else later
    n: int  # of a time-out: which period
    due_in: float  # seconds, by the store's clock
    correlation_id: str


class Wanted(NamedTuple):
    """Which of them to show; "" means all."""

    kind: str = ""
    subscription: str = ""
    subject: str = ""
    type: str = ""
    id: str = ""
    limit: int = 50


class TimerStore(Protocol):
    """The time-outs of one store. They are written as part of endings: `Ending.timers`."""

    async def rows(self, runs: Sequence[bytes]) -> Mapping[bytes, TimerRow]:
        """The rows that exist of these runs, committed state."""
        ...

    async def call_due(self, subscriptions: Sequence[str], limit: int) -> list[OutboxRow]:
        """Move what is due by the store's clock from `armed` to `called`, the earliest first, and write the alarms.

        Only of these subscriptions. The alarms belong to this process, as what is said for now does.
        """
        ...

    async def next_due(self, subscriptions: Sequence[str]) -> float | None:
        """Seconds until the next one of these subscriptions is due by the store's clock; negative: it is overdue."""
        ...

    async def rename(self, former: str, queue: str) -> int:
        """Give what a subscription armed under its former name to it; how many rows (RULES 5.7 i)."""
        ...

    async def purge(self, before: float, limit: int) -> Purged:
        """One step of a purge: look at `limit` rows, remove those that are final since before this moment."""
        ...

    async def listed(self, wanted: Wanted) -> list[WaitingEntry]:
        """What waits for its time and is wanted, the earliest first."""
        ...

    async def cancel(self, id: str, note: bytes) -> bool:
        """End a time-out that has not fired as if it was answered, `note` being the answer; delete a scheduled event.

        False where it does not wait any more.
        """
        ...

    async def move(self, id: str, wait: float, note: bytes) -> bool:
        """Let it be due so many seconds from now; one that was called is armed again. False where it does not wait."""
        ...

    async def waiting(self, subscriptions: Sequence[str]) -> TimersWaiting:
        """Counts for metrics; each stops at `COUNTED_TIMERS`."""
        ...


def timer_values(row: TimerRow) -> tuple[Any, ...]:
    """A row in the order of the columns; the store makes `due` and `updated`."""
    return (
        row.run, row.correlation_id, row.subscription, row.scope, row.state.value, row.n, row.due, row.wait,
        row.armed_key, row.input, row.answer, row.version, row.updated,
    )  # fmt: skip


def timer_row(values: Sequence[Any]) -> TimerRow:
    """What stands in the columns."""
    run, correlation_id, subscription, scope, state, *rest = values
    return TimerRow(run, correlation_id, subscription, scope, TimerState(state), *rest)


#: What a clock that was ahead has put further away than it waits (RULES 11.2).
TIMERS_PUT_RIGHT = """UPDATE hocket_timers SET due = {now} + wait, version = version + 1 WHERE run IN (
SELECT run FROM hocket_timers WHERE state = 'armed' AND due - wait > {now} + 0.001
ORDER BY due - wait DESC LIMIT {limit} {lock})"""
OLD_TIMERS = "SELECT run, state, updated FROM hocket_timers WHERE run > $1 ORDER BY run LIMIT $2"
RENAME_TIMERS = "UPDATE hocket_timers SET subscription = $1, version = version + 1 WHERE subscription = $2"


class TimerPurge:
    """How far a purge of the time-outs has come: they are looked through in order of their runs, a batch a step."""

    def __init__(self) -> None:
        self.after = b""

    def seen(self, found: Sequence[Sequence[Any]], before: float, limit: int) -> list[bytes]:
        """Which of these rows (run, state, updated) may go; the next step begins behind them."""
        self.after = bytes(found[-1][0]) if len(found) == limit else b""
        return [bytes(run) for run, state, updated in found if state in FINAL_TIMERS and updated < before]


#: What waits for its time, for people (`{subject}`, `{type}`: how a field of JSON in a column is read).
LIST_TIMERS = """SELECT 'timeout' AS kind, {hex} AS id, subscription, {subject} AS subject, {type} AS type, scope,
state, n, due - {now} AS due_in, correlation_id FROM hocket_timers WHERE state IN ('armed', 'called')"""
LIST_OUTBOX = """SELECT CASE kind WHEN 'self' THEN 'retry' ELSE 'scheduled' END AS kind, CAST(id AS TEXT) AS id,
CASE kind WHEN 'self' THEN routing_key ELSE '' END AS subscription, {body_subject} AS subject, type, '' AS scope,
'later' AS state, 0 AS n, due - {now} AS due_in, correlation_id FROM hocket_outbox
WHERE kind IN ('self', 'scheduled') AND owner IS NULL AND refused IS NULL"""
LIST = f"""SELECT kind, id, subscription, coalesce(subject, ''), coalesce(type, ''), scope, state, n, due_in,
correlation_id FROM ({LIST_TIMERS} UNION ALL {LIST_OUTBOX}) AS w
WHERE $1 IN ('', kind) AND $2 IN ('', subscription) AND $3 IN ('', subject) AND $4 IN ('', type) AND $5 IN ('', id)
ORDER BY due_in LIMIT $6"""  # noqa: S608 -- the two statements above
CANCEL_TIMER = """UPDATE hocket_timers SET state = 'met', input = {empty}, answer = $1, version = version + 1,
updated = {now} WHERE run = $2 AND state IN ('armed', 'called')"""
CANCEL_SCHEDULED = """DELETE FROM hocket_outbox
WHERE id = $1 AND kind = 'scheduled' AND owner IS NULL AND refused IS NULL"""
MOVE_TIMER = """UPDATE hocket_timers SET state = 'armed', wait = $1, due = {now} + $2, answer = $3,
version = version + 1, updated = {now} WHERE run = $4 AND state IN ('armed', 'called')"""
MOVE_OUTBOX = """UPDATE hocket_outbox SET wait = $1, due = {now} + $2
WHERE id = $3 AND kind IN ('self', 'scheduled') AND owner IS NULL AND refused IS NULL"""


def run_of(id: str) -> bytes | None:
    """The run that an id names; None: it is that of a row of the outbox. `ValueError` for what is neither."""
    return None if id.isdecimal() and len(id) < RUN_CHARS else bytes.fromhex(id)
