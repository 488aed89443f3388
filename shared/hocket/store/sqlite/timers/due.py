# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The time-outs of an SQLite store: which are due, the purge, what moves with the clock (RULES 5.7, 11.2, 11.7)."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from hocket.broker.port import Message
from hocket.envelope.cloudevent import CONTENT_TYPE, OVERDUE_TYPE
from hocket.saga.overdue import TimerRow
from hocket.store.records import Ending, OutboxRow, Purged, RowKind
from hocket.store.sql import question_marks
from hocket.store.sqlite import statements
from hocket.store.sqlite.connection import write_transaction
from hocket.store.sqlite.timers.write import rows
from hocket.store.timers import (
    CANCEL_SCHEDULED,
    CANCEL_TIMER,
    COUNTED_TIMERS,
    FINAL_TIMERS_SQL,
    LIST,
    MOVE_OUTBOX,
    MOVE_TIMER,
    OLD_TIMERS,
    RENAME_TIMERS,
    TIMER_COLUMNS,
    TIMERS_PUT_RIGHT,
    TimerPurge,
    TimersWaiting,
    WaitingEntry,
    Wanted,
    run_of,
    timer_row,
)

_RIPE = f"""SELECT {TIMER_COLUMNS} FROM hocket_timers
WHERE state = 'armed' AND due <= ? AND subscription IN ({{}}) ORDER BY due LIMIT ?"""
_CALL = "UPDATE hocket_timers SET state = 'called', version = version + 1, updated = ? WHERE run = ?"
_NEXT = "SELECT min(due) - ? FROM hocket_timers WHERE state = 'armed' AND subscription IN ({})"
_WAITING = """SELECT (SELECT count(*) FROM (SELECT 1 FROM hocket_timers
WHERE state = 'armed' AND subscription IN ({0}) LIMIT ?)), (SELECT coalesce(max(? - min(due), 0.0), 0.0)
FROM hocket_timers WHERE state = 'armed' AND subscription IN ({0}))"""
_RENAME, _OLD = question_marks(RENAME_TIMERS), question_marks(OLD_TIMERS)
_PURGE = f"DELETE FROM hocket_timers WHERE run = ? AND state IN ({FINAL_TIMERS_SQL}) AND updated < ?"
_PUT_RIGHT = TIMERS_PUT_RIGHT.format(now="?", limit="?", lock="")
_FAR = "SELECT 1 FROM hocket_timers WHERE state = 'armed' AND due - wait > ? + 0.001 LIMIT 1"
_SHIFT = """UPDATE hocket_timers SET due = due + ?, version = version + 1 WHERE run IN (SELECT run FROM hocket_timers
WHERE state = 'armed' AND run > ? ORDER BY run LIMIT ?) RETURNING run"""

_LIST = question_marks(LIST).format(
    hex="lower(hex(run))", now="?", subject="json_extract(CAST(input AS TEXT), '$.subject')",
    type="json_extract(CAST(input AS TEXT), '$.data.armed.type')",
    body_subject="json_extract(CAST(body AS TEXT), '$.subject')",
)  # fmt: skip
_CANCEL = question_marks(CANCEL_TIMER).format(empty="x''", now="?")
_CANCEL_SCHEDULED = question_marks(CANCEL_SCHEDULED)
_MOVE, _MOVE_OUTBOX = question_marks(MOVE_TIMER).format(now="?"), question_marks(MOVE_OUTBOX).format(now="?")

Run = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]


class SqliteTimers:
    """A `hocket.store.timers.TimerStore`; `look` reads, `write` is a transaction of its own under the write lease."""

    def __init__(self, boot: str, now: Callable[[], float], look: Run, write: Run) -> None:
        self._boot = boot
        self._now = now
        self._look = look
        self._write = write
        self._purge = TimerPurge()

    async def rows(self, runs: Sequence[bytes]) -> Mapping[bytes, TimerRow]:
        """The rows that exist of these runs, committed state."""
        found: Mapping[bytes, TimerRow] = await self._look(lambda connection: rows(connection, runs))
        return found

    async def call_due(self, subscriptions: Sequence[str], limit: int) -> list[OutboxRow]:
        """Call what is due, the earliest first; asked for without the write lease where nothing is."""
        wait = await self.next_due(subscriptions)
        if wait is None or wait > 0:
            return []
        called: list[OutboxRow] = await self._write(
            lambda connection: _call(connection, self._boot, self._now(), subscriptions, limit)
        )
        return called

    async def next_due(self, subscriptions: Sequence[str]) -> float | None:
        """Seconds until the next one is due; negative: it is overdue."""
        statement = _NEXT.format(_marks(subscriptions))
        values = (self._now(), *subscriptions)
        wait: float | None = await self._look(lambda connection: connection.execute(statement, values).fetchone()[0])
        return wait

    async def rename(self, former: str, queue: str) -> int:
        """Give what was armed under the former name to the subscription; how many rows."""
        renamed: int = await self._write(lambda connection: connection.execute(_RENAME, (queue, former)).rowcount)
        return renamed

    async def purge(self, before: float, limit: int) -> Purged:
        """One step of a purge: a look without the lease, then a short transaction where something may go."""
        after = self._purge.after
        found = await self._look(lambda connection: connection.execute(_OLD, (after, limit)).fetchall())
        old = [(run, before) for run in self._purge.seen(found, before, limit)]
        removed = await self._write(lambda connection: _remove(connection, old)) if old else 0
        return Purged(removed, not self._purge.after)

    async def listed(self, wanted: Wanted) -> list[WaitingEntry]:
        """What waits for its time and is wanted, the earliest first."""
        now = self._now()
        asked = (wanted.kind, wanted.subscription, wanted.subject, wanted.type, wanted.id, wanted.limit)
        found = await self._look(lambda connection: connection.execute(_LIST, (now, now, *asked)).fetchall())
        return [WaitingEntry(*each) for each in found]

    async def cancel(self, id: str, note: bytes) -> bool:
        """End a time-out, delete a scheduled event; False where it does not wait any more."""
        if (run := run_of(id)) is not None:
            return await self._changed(_CANCEL, (note, self._now(), run))
        return await self._changed(_CANCEL_SCHEDULED, (int(id),))

    async def move(self, id: str, wait: float, note: bytes) -> bool:
        """Let it be due so many seconds from now; False where it does not wait any more."""
        now = self._now()
        if (run := run_of(id)) is not None:
            return await self._changed(_MOVE, (wait, now, wait, note, now, run))
        return await self._changed(_MOVE_OUTBOX, (wait, now, wait, int(id)))

    async def _changed(self, statement: str, values: tuple[object, ...]) -> bool:
        changed: int = await self._write(lambda connection: connection.execute(statement, values).rowcount)
        return changed > 0

    async def waiting(self, subscriptions: Sequence[str]) -> TimersWaiting:
        """Counts for metrics."""
        statement = _WAITING.format(_marks(subscriptions))
        values = (*subscriptions, COUNTED_TIMERS, self._now(), *subscriptions)
        return TimersWaiting(*await self._look(lambda connection: connection.execute(statement, values).fetchone()))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _call(
    connection: sqlite3.Connection, boot: str, now: float, subscriptions: Sequence[str], limit: int
) -> list[OutboxRow]:
    with write_transaction(connection):
        found = connection.execute(_RIPE.format(_marks(subscriptions)), (now, *subscriptions, limit))
        ripe = [timer_row(values) for values in found]
        connection.executemany(_CALL, [(now, row.run) for row in ripe])
        [written] = statements.write(connection, [Ending(outbox=tuple(_alarm(row, now) for row in ripe))], boot, now)
    return list(written.outbox)


def _alarm(row: TimerRow, now: float) -> OutboxRow:
    service = row.subscription.partition(".")[0]
    message = Message(
        service, row.subscription, row.input, CONTENT_TYPE, type=OVERDUE_TYPE, correlation_id=row.correlation_id,
        app_id=service, timestamp=row.due,
    )  # fmt: skip
    return OutboxRow(RowKind.SELF, message, now)


def _remove(connection: sqlite3.Connection, old: Sequence[tuple[bytes, float]]) -> int:
    with write_transaction(connection):
        return connection.executemany(_PURGE, old).rowcount


def far(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a time-out is further away than it waits (RULES 11.2)."""
    return connection.execute(_FAR, (now,)).fetchone() is not None


def put_right(connection: sqlite3.Connection, now: float, limit: int) -> int:
    """Bring time-outs near that are further away than they wait (RULES 11.2); how many."""
    with write_transaction(connection):
        return connection.execute(_PUT_RIGHT, (now, now, limit)).rowcount


def shift(connection: sqlite3.Connection, seconds: float, after: bytes, limit: int) -> bytes | None:
    """Move armed time-outs with the clock, runs above `after`; the highest one moved, None: no more are left."""
    with write_transaction(connection):
        moved = [run for (run,) in connection.execute(_SHIFT, (seconds, after, limit))]
    return max(moved) if len(moved) == limit else None
