# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The time-outs of a PostgreSQL store: which are due, and the purge, by the server's clock (RULES 5.7)."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from hocket.envelope.cloudevent import CONTENT_TYPE, OVERDUE_TYPE
from hocket.saga.overdue import TimerRow
from hocket.store.postgres.sql import NOW
from hocket.store.postgres.statements import outbox, rows_touched
from hocket.store.records import OutboxRow, Purged
from hocket.store.sql import OUTBOX_NAMES
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

_ALARM = {
    "kind": "'self'",
    "due": NOW,
    "owner": "$3::text",
    "inbox_key": "''::bytea",
    "exchange": "split_part(c.subscription, '.', 1)",
    "routing_key": "c.subscription",
    "body": "c.input",
    "content_type": f"'{CONTENT_TYPE}'",
    "headers": "'{}'",
    "type": f"'{OVERDUE_TYPE}'",
    "correlation_id": "c.correlation_id",
    "app_id": "split_part(c.subscription, '.', 1)",
    "timestamp": "c.due",
    "wait": "0",
}
_OUT = OUTBOX_NAMES[1:]  # the database gives the id
#: RULES 5.7 d: one statement moves what is due and writes its alarms; who holds a row is not waited for.
CALL = f"""WITH ripe AS (
SELECT run FROM hocket_timers WHERE state = 'armed' AND subscription = ANY($1::text[]) AND due <= {NOW}
ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
), called AS (
UPDATE hocket_timers t SET state = 'called', version = t.version + 1, updated = {NOW} FROM ripe WHERE t.run = ripe.run
RETURNING t.subscription, t.input, t.correlation_id, t.due
) INSERT INTO hocket_outbox ({", ".join(_OUT)})
SELECT {", ".join(_ALARM.get(name, "''") for name in _OUT)} FROM called c ORDER BY c.due
RETURNING id, {", ".join(_OUT)}"""
_ROWS = f"SELECT {TIMER_COLUMNS} FROM hocket_timers WHERE run = ANY($1::bytea[])"
_NEXT = f"SELECT min(due) - {NOW} FROM hocket_timers WHERE state = 'armed' AND subscription = ANY($1::text[])"
_WAITING = f"""SELECT (SELECT count(*) FROM (SELECT 1 FROM hocket_timers
WHERE state = 'armed' AND subscription = ANY($1::text[]) LIMIT $2) a), coalesce((SELECT greatest({NOW} - min(due), 0)
FROM hocket_timers WHERE state = 'armed' AND subscription = ANY($1::text[])), 0)"""
_PURGE = f"""DELETE FROM hocket_timers
WHERE run = ANY($1::bytea[]) AND state IN ({FINAL_TIMERS_SQL}) AND updated < $2"""
PUT_RIGHT = TIMERS_PUT_RIGHT.format(now=NOW, limit="$1", lock="FOR UPDATE SKIP LOCKED")

_JSON = "convert_from({}, 'UTF8')::jsonb"
_LIST = LIST.format(
    hex="encode(run, 'hex')", now=NOW, subject=f"{_JSON.format('input')} ->> 'subject'",
    type=f"{_JSON.format('input')} #>> '{{data,armed,type}}'", body_subject=f"{_JSON.format('body')} ->> 'subject'",
)  # fmt: skip
_LIST = re.sub(r"\$([1-5]) IN", r"$\1::text IN", _LIST)
_CANCEL = CANCEL_TIMER.format(empty="''::bytea", now=NOW)
_MOVE, _MOVE_OUTBOX = MOVE_TIMER.format(now=NOW), MOVE_OUTBOX.format(now=NOW)

Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]


def _asked(wanted: Wanted) -> tuple[str | int, ...]:
    return wanted.kind, wanted.subscription, wanted.subject, wanted.type, wanted.id, wanted.limit


class PostgresTimers:
    """A `hocket.store.timers.TimerStore`; `run` runs one statement on a connection of the kit's pool."""

    def __init__(self, boot: str, run: Run, uncertain: Callable[[], None]) -> None:
        self._boot = boot
        self._run = run
        self._uncertain = uncertain
        self._purge = TimerPurge()

    async def rows(self, runs: Sequence[bytes]) -> Mapping[bytes, TimerRow]:
        """The rows that exist of these runs, committed state."""
        found = [timer_row(each) for each in await self._run(lambda kit: kit.fetch(_ROWS, list(runs)))]
        return {row.run: row for row in found}

    async def call_due(self, subscriptions: Sequence[str], limit: int) -> list[OutboxRow]:
        """Call what is due, the earliest first, in one statement."""
        try:
            found = await self._run(lambda kit: kit.fetch(CALL, list(subscriptions), limit, self._boot))
        except BaseException:
            self._uncertain()  # it may have written alarms that nobody has in memory
            raise
        return sorted(outbox(found), key=lambda row: row.id)

    async def next_due(self, subscriptions: Sequence[str]) -> float | None:
        """Seconds until the next one is due; negative: it is overdue."""
        wait: float | None = await self._run(lambda kit: kit.fetchval(_NEXT, list(subscriptions)))
        return wait

    async def rename(self, former: str, queue: str) -> int:
        """Give what was armed under the former name to the subscription; how many rows."""
        return rows_touched(await self._run(lambda kit: kit.execute(RENAME_TIMERS, queue, former)))

    async def purge(self, before: float, limit: int) -> Purged:
        """One step of a purge: a look, and a statement where something may go."""
        after = self._purge.after
        old = self._purge.seen(await self._run(lambda kit: kit.fetch(OLD_TIMERS, after, limit)), before, limit)
        removed = rows_touched(await self._run(lambda kit: kit.execute(_PURGE, old, before))) if old else 0
        return Purged(removed, not self._purge.after)

    async def listed(self, wanted: Wanted) -> list[WaitingEntry]:
        """What waits for its time and is wanted, the earliest first."""
        return [WaitingEntry(*each) for each in await self._run(lambda kit: kit.fetch(_LIST, *_asked(wanted)))]

    async def cancel(self, id: str, note: bytes) -> bool:
        """End a time-out, delete a scheduled event; False where it does not wait any more."""
        if (run := run_of(id)) is not None:
            return rows_touched(await self._run(lambda kit: kit.execute(_CANCEL, note, run))) > 0
        return rows_touched(await self._run(lambda kit: kit.execute(CANCEL_SCHEDULED, int(id)))) > 0

    async def move(self, id: str, wait: float, note: bytes) -> bool:
        """Let it be due so many seconds from now; False where it does not wait any more."""
        if (run := run_of(id)) is not None:
            return rows_touched(await self._run(lambda kit: kit.execute(_MOVE, wait, wait, note, run))) > 0
        return rows_touched(await self._run(lambda kit: kit.execute(_MOVE_OUTBOX, wait, wait, int(id)))) > 0

    async def waiting(self, subscriptions: Sequence[str]) -> TimersWaiting:
        """Counts for metrics."""
        found = await self._run(lambda kit: kit.fetchrow(_WAITING, list(subscriptions), COUNTED_TIMERS))
        return TimersWaiting(*found)
