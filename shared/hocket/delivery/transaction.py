"""A handler's own transaction: it begins with the inbox write and ends with everything the attempt leaves behind."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.record import Recorder
from hocket.outcome import Done
from hocket.saga.ledger import LedgerRow, LedgerState
from hocket.store.port import Store, Tx
from hocket.store.records import Ending, OutboxRow


class Superseded(BaseException):
    """Another run of the same delivery has ended: this one must stop, and nothing of it stands (RULES 3.1)."""


class HandlerTransaction:
    """The store as one attempt uses it; opened by the handler's first `await tx.db()`."""

    def __init__(self, store: Store, recorder: Recorder, arrival: Arrival) -> None:
        self._store = store
        self._recorder = recorder
        self._arrival = arrival
        self._tx: Tx | None = None
        self._scope: AbstractAsyncContextManager[Tx] | None = None
        self._ledger: LedgerRow | None = None
        self._reads: AsyncExitStack | None = None
        self._reading: AsyncConnection | None = None
        self._opening = asyncio.Lock()
        self.lost = (
            False  # another run has ended this delivery: also where the handler did not let `Superseded` through
        )

    @property
    def opened(self) -> bool:
        """Whether the handler opened it."""
        return self._tx is not None

    async def open(self) -> AsyncConnection:
        """The one transaction; raises `Superseded` where the delivery is no longer ours to end."""
        return await (await self._begun()).db()

    async def read(self) -> AsyncConnection:
        """Committed data, until the attempt ends."""
        if self._reading is None:
            self._reads = self._reads or AsyncExitStack()
            self._reading = await self._reads.enter_async_context(self._store.read())
        return self._reading

    async def cancel(self, schedule: str) -> bool:
        """Cancel what was scheduled, in the one transaction."""
        return await (await self._begun()).cancel(schedule)

    async def _begun(self) -> Tx:
        async with self._opening:
            if self.lost:
                raise Superseded
            if self._tx is None:
                self._tx = await self._begin()
            return self._tx

    async def _begin(self) -> Tx:
        if self._reads is not None:
            await self._reads.aclose()
        self._reading = None
        scope = self._store.transaction()
        tx = await scope.__aenter__()
        self._scope = scope  # only what was entered is left again
        arrival = self._arrival
        if arrival.run:
            self._ledger = (await tx.ledger([arrival.run])).get(arrival.run)
            self.lost = arrival.role is Role.STEP and not self._owned()
        if not self.lost:
            claim, _ = self._recorder.ending(replace(arrival, outcome=Done(), role=Role.EVENT), None)
            [written] = await tx.write([Ending(inbox=claim.inbox)])
            self.lost = not written.won
        if self.lost:
            raise Superseded
        return tx

    def _owned(self) -> bool:
        row = self._ledger
        return row is not None and row.state is LedgerState.BEGUN and row.owner == self._arrival.token

    async def commit(self) -> tuple[OutboxRow, ...]:
        """Write what the arrival's outcome leaves behind and commit; the outbox rows for the relay."""
        assert self._tx is not None
        assert self._scope is not None
        ending, won = self._recorder.ending(self._arrival, self._ledger)
        if not won:
            self.lost = True
            raise Superseded
        if ending.receipt and self._recorder.shed():
            ending = ending._replace(receipt=b"")
        if ending.inbox is not None:
            ending = ending._replace(inbox=ending.inbox._replace(won=True))
        [written] = await self._tx.write([ending])
        scope, self._scope, self._tx = self._scope, None, None
        await scope.__aexit__(None, None, None)
        return written.outbox

    async def leave(self, error: BaseException | None) -> None:
        """Roll back whatever is open."""
        if self._reads is not None:
            await self._reads.aclose()
        if self._scope is not None:
            scope, self._scope, self._tx = self._scope, None, None
            why = error or RuntimeError("left without a commit")
            try:
                await scope.__aexit__(type(why), why, why.__traceback__)
            except BaseException as raised:
                if raised is not why:
                    raise
