"""One unit of work: one transaction that is opened when it is first needed, and left once.

Handlers, `service.tx()`, readers of streams and `fake_tx` use the same class through `hocket.tx.Tx`. They differ in two
ways: what is written first (the claim), and who commits (this unit, a shared commit, or the owner of the transaction).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import Protocol, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.errors import HocketError, StoreError
from hocket.store.handler_connection import COMMITTED
from hocket.store.port import OpenTransaction, Store, WriteTransaction
from hocket.store.records import Ending, InboxWrite, OutboxRow, Written

#: Begins a transaction: the context commits when it is left without an error, otherwise it rolls back.
Begin = Callable[[], AbstractAsyncContextManager[OpenTransaction]]
#: Commits an ending without a transaction of its own: see `store/group_commit.py`.
Share = Callable[[Ending], Awaitable[Written]]


class Claim(Protocol):
    """The first write of a transaction, where it is more than an inbox row."""

    async def write(self, tx: WriteTransaction) -> bool:
        """Write it; False where another run or transaction was first."""
        ...

    async def again(self, tx: WriteTransaction) -> Ending | None:
        """The ending, decided by the ledger row as it is under its lock; None where its run has lost the step."""
        ...


class Superseded(BaseException):
    """Another run or transaction has taken this key: this one must stop, and nothing of it is kept (RULES 3.1)."""


class UnitOfWork:
    """One transaction, opened by the first `open` or `cancel`; calls may be concurrent.

    Whoever makes a unit calls `leave` in the end, also after `commit`.
    """

    __slots__ = (
        "_begin", "_claim", "_left", "_opening", "_reading", "_reads", "_scope", "_share", "_store", "_tx", "lost"
    )  # fmt: skip

    def __init__(
        self,
        store: Store | None,
        claim: InboxWrite | Claim | None = None,
        *,
        share: Share | None = None,
        begin: Begin | None = None,
    ) -> None:
        """`claim` is written first. With `share`, `commit` does not open a transaction just for its ending.

        The transaction is the store's, or by `begin`; without a store there is nothing else to read from.
        """
        self._store = store
        self._begin = begin
        self._claim = claim
        self._share = share
        self._tx: OpenTransaction | None = None
        self._scope: AbstractAsyncContextManager[OpenTransaction] | None = None
        self._reads: AsyncExitStack | None = None
        self._reading: AsyncConnection | None = None
        self._opening: asyncio.Lock | None = None  # made when needed: most handlers open no transaction
        self._left = False
        self.lost = False  # the claim lost, also where the caller caught `Superseded` and went on

    @classmethod
    def within(cls, tx: OpenTransaction, store: Store | None = None) -> "UnitOfWork":
        """A unit in a transaction that its owner begins, commits and rolls back; `leave` undoes nothing of it."""
        return cls(store, begin=lambda: nullcontext(tx))

    @property
    def opened(self) -> bool:
        """Whether the transaction is open."""
        return self._tx is not None

    async def open(self) -> AsyncConnection:
        """The transaction's connection; `Superseded` where the claim loses."""
        return await (await self._opened()).db()

    async def read(self) -> AsyncConnection:
        """Committed data, until the transaction is opened or the unit is left; without a store the transaction's."""
        if self._store is None:
            return await self.open()
        self._check_not_left()
        if self._reading is None:
            self._reads = self._reads or AsyncExitStack()
            self._reading = await self._reads.enter_async_context(self._store.read())
        return self._reading

    async def cancel(self, schedule: str) -> bool:
        """Cancel what was scheduled under this name, in the transaction; tells whether there was something."""
        return await (await self._opened()).cancel(schedule)

    async def commit(self, ending: Ending) -> tuple[OutboxRow, ...]:
        """Write `ending` and commit; returns the outbox rows with their ids. Nothing to write opens nothing.

        `Superseded` where the claim has lost or the ending loses. `StoreError`: the outcome is unknown (RULES 3.2).
        """
        if self.lost:
            raise Superseded
        if self._tx is None and ending == Ending():
            return ()
        if self._tx is None and self._share is not None:
            return self._won(await self._share(ending)).outbox
        tx = self._tx or await self._opened()
        [written] = await tx.write([self._claimed(ending)])
        if written.again and self._claim is not None and not isinstance(self._claim, InboxWrite):
            later = await self._claim.again(cast("WriteTransaction", tx))
            if later is not None:
                [written] = await tx.write([self._claimed(later)])
        self._won(written)
        scope, self._scope, self._tx = self._scope, None, None
        assert scope is not None
        await scope.__aexit__(None, None, None)
        return written.outbox

    def _claimed(self, ending: Ending) -> Ending:
        """The ending, where the claim has won its inbox row already."""
        if self._claim is None or ending.inbox is None:
            return ending
        return ending._replace(inbox=ending.inbox._replace(won=True))

    async def leave(self, error: BaseException | None = None) -> None:
        """Close what was read from and roll back what is open, because of `error`.

        Raises what the rollback raises, such as `LeaseExpired`, unless it is `error` itself. Whoever still holds the
        unit, as a task that the handler has left running, can open nothing more.
        """
        self._left = True
        if self._reads is None and self._scope is None:
            return  # a handler that opened nothing: the common case
        try:
            await self._end_reads()
        finally:
            await self._roll_back(error or RuntimeError("left without a commit"))

    async def _opened(self) -> OpenTransaction:
        if self._tx is not None and not self.lost:
            return self._tx
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.lost:
                raise Superseded
            self._check_not_left()
            if self._tx is None:
                self._tx = await self._enter()
            return self._tx

    def _check_not_left(self) -> None:
        if self._left:
            raise HocketError(COMMITTED)

    async def _enter(self) -> OpenTransaction:
        await self._end_reads()
        scope = self._begin() if self._begin is not None else self._own()
        tx = await scope.__aenter__()
        self._scope = scope  # only after it was entered: what was not entered is not left
        try:
            await self._write_claim(tx)
        except BaseException as error:
            await self._roll_back(error)
            raise
        return tx

    def _own(self) -> AbstractAsyncContextManager[OpenTransaction]:
        assert self._store is not None, "a unit of work has a store or begins otherwise"
        return self._store.transaction()

    async def _write_claim(self, tx: OpenTransaction) -> None:
        if self._claim is None:
            return
        if isinstance(self._claim, InboxWrite):
            [written] = await tx.write([Ending(inbox=self._claim)])
            self._won(written)
        elif not await self._claim.write(cast("WriteTransaction", tx)):  # a claim comes with a transaction of the store
            self.lost = True
            raise Superseded

    def _won(self, written: Written) -> Written:
        if written.blocked:
            raise StoreError("another transaction that is still open holds this key: try again")
        if not written.won:
            self.lost = True
            raise Superseded
        return written

    async def _end_reads(self) -> None:
        self._reading = None
        if self._reads is not None:
            await self._reads.aclose()

    async def _roll_back(self, why: BaseException) -> None:
        scope, self._scope, self._tx = self._scope, None, None
        if scope is None:
            return
        try:
            await scope.__aexit__(type(why), why, why.__traceback__)
        except BaseException as raised:
            if raised is not why:
                raise
