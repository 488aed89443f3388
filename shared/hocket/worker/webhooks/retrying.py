"""Tries kept webhooks again when a person has asked for it, in the service that runs: it has the code (RULES 12.9)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.errors import HocketError, StoreError
from hocket.runtime import Runtime
from hocket.store.records import Ending
from hocket.webhooks.declared import Secret, Webhook
from hocket.webhooks.signature import Push, headers_of
from hocket.worker.webhooks import kept
from hocket.worker.webhooks.checks.authentic import judge
from hocket.worker.webhooks.custody import Custody
from hocket.worker.webhooks.endings import endings
from hocket.worker.webhooks.ends import State
from hocket.worker.webhooks.interpret import Interpreted, delivery_of
from hocket.worker.webhooks.kept import KeptRow, Waits
from hocket.worker.webhooks.keys import keys_of
from hocket.worker.webhooks.taking import Taking

#: Seconds between two looks at what is asked for, and rows of one look.
LOOK_SECONDS = 2.0
ROWS = 50
#: `asked` of a row that is to be tried whatever its skew.
ANY_SKEW = 2

_OPEN = (State.KEPT.value, State.REFUSED.value)


class _Taken(HocketError):
    """The key of a kept webhook was taken meanwhile: what was written is to be rolled back."""


@dataclass(slots=True)
class Retrying:
    """Looks for rows that a person asked for, and counts what is kept."""

    runtime: Runtime
    hooks: Mapping[str, Webhook]
    secrets: Callable[[str], Sequence[Secret]]
    taking: Taking
    custody: Custody
    told: Callable[[], Awaitable[None]]
    waiting: dict[str, Waits] = field(default_factory=dict)
    _look: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """Look now."""
        self._look.set()

    @property
    def kept(self) -> int:
        """How many are kept and open; they count to the outbox bound."""
        return sum(each.kept for each in self.waiting.values()) + sum(self.custody.fresh.values())

    async def run(self) -> None:
        """Until cancelled; an error of the store ends only one look."""
        while True:
            self._look.clear()
            try:
                await self._looked()
            except StoreError as error:
                self.runtime.trouble("kept webhooks could not be looked at", reason=str(error))
            await self.told()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _looked(self) -> None:
        fresh = dict(self.custody.fresh)
        async with self.runtime.store.read() as db:
            ids = await kept.asked(db, ROWS)
            self.waiting = await kept.waits(db)
        for source, many in fresh.items():  # counted now; what was kept meanwhile stays
            self.custody.fresh[source] -= many
        for id in ids:
            await self.retry(id)

    async def retry(self, id: str) -> None:
        """Verify what was kept at the time of its receipt, then go the way from "parse" on, under the same key."""
        async with self.runtime.store.read() as db:
            row = await kept.one(db, id)
        if row is None or row.state not in _OPEN or not row.asked:
            return
        hook = self.hooks.get(row.source)
        fault = _unfit(row, hook)
        if hook is None or fault:
            await self._still(row, row.cause, fault)
            return
        push = Push(row.source, row.delivery, datetime.fromtimestamp(row.received, UTC), row.body,
                    headers_of(row.header_map))  # fmt: skip
        verdict = judge(hook, push, self.secrets(hook.name), any_skew=row.asked == ANY_SKEW)
        if verdict.end is not None:
            await self._still(row, row.cause, f"not authentic by today's secrets: {verdict.error}")
            return
        delivery, wrong = delivery_of(hook, push)
        push = Push(row.source, delivery, push.received, push.body, push.headers)
        read = self.taking.read(hook, push, wrong, again=True)
        if read.cause is not None:
            await self._still(row, read.cause, read.error)
            return
        await self._settle(row._replace(delivery=delivery, secret=verdict.secret), hook, push, read)

    async def _settle(self, row: KeptRow, hook: Webhook, push: Push, read: Interpreted) -> None:
        """Say it and settle the row in one transaction; the key decides where two do it at once."""
        keys = keys_of(self.runtime.service, hook, push)
        now = (await self.runtime.store.clock.time()).now
        state = State.SAID if read.said else State.NOTHING
        done = row._replace(state=state.value, error="", asked=0, updated=now)
        ending, also = endings(self.taking.outside, keys, read, row.correlation_id, self.custody.fact(done))
        try:
            async with self.runtime.store.transaction() as tx:
                written = await tx.write([ending] if also is None else [ending, also])
                if not all(each.won for each in written):
                    raise _Taken("its key was taken")
                if not await self._changed(await tx.db(), done):
                    raise _Taken("another person was first")
        except _Taken:
            seen = await self.runtime.store.inbox(keys.all)
            if not seen:
                return  # the row was settled by another person meanwhile
            first = next(iter(seen.values()))
            await self._write(done._replace(state=State.SEEN.value, correlation_id=first.correlation_id))
            return
        self.taking.outside.committed([row for each in written for row in each.outbox])

    async def _still(self, row: KeptRow, cause: str, error: str) -> None:
        """It stays as it is, with the reason of this try."""
        now = (await self.runtime.store.clock.time()).now
        of_row = row.cause if row.state == State.REFUSED else cause
        await self._write(row._replace(cause=of_row, error=error, asked=0, updated=now), moved=False)

    async def _write(self, row: KeptRow, *, moved: bool = True) -> None:
        async with self.runtime.store.transaction() as tx:
            if not await self._changed(await tx.db(), row, dated=moved):
                return
            [written] = await tx.write([Ending(receipt=self.custody.fact(row))])
        self.taking.outside.committed(written.outbox)

    @staticmethod
    async def _changed(db: AsyncConnection, row: KeptRow, *, dated: bool = True) -> bool:
        values = {
            name: getattr(row, name) for name in ("state", "cause", "error", "asked", "correlation_id", "delivery")
        }
        if dated:
            values["updated"] = row.updated
        return await kept.change(db, row.id, _OPEN, **values)


def _unfit(row: KeptRow, hook: Webhook | None) -> str:
    """Why it cannot be tried."""
    if hook is None:
        return f"this service declares no webhook {row.source} any more"
    if not row.whole:
        return f"only the first {len(row.body)} of its {row.size} bytes were sampled"
    return ""
