"""`service.tx()`: a transaction outside handlers, with the same inbox and outbox (RULES 2.3)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.choreography import Declarations
from hocket.envelope.keys import inbox_key
from hocket.errors import OutboxFull, StoreError
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.resilience.circuit import Circuit
from hocket.resilience.guard import BreakerGuard, StateListener
from hocket.runtime import Runtime
from hocket.store.group_commit import GroupCommit
from hocket.store.port import Joined, Store, Tx
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, OutboxRow
from hocket.tx import AttemptInfo, Outside

#: Seconds after an application's commit at which the relay looks for its rows; after that, and where the commit was not
#: noticed, it looks every few seconds (`HOCKET_OUTBOX_LOOK_SECONDS`).
COMMIT_LOOKS = (0.0, 0.01, 0.05, 0.25)


class KeyTaken(BaseException):
    """Another transaction has just committed this key: nothing of this one stands, and `seen` says so."""


class _Purse:
    """The store as one transaction outside handlers uses it: opened by the first `db()`, else at the end."""

    def __init__(self, store: Store, together: GroupCommit, claim: InboxWrite | None) -> None:
        self._store = store
        self._together = together
        self._claim = claim
        self._scope: AbstractAsyncContextManager[Tx] | None = None
        self._tx: Tx | None = None
        self._reads = AsyncExitStack()

    async def open(self) -> AsyncConnection:
        return await (await self._begun()).db()

    async def read(self) -> AsyncConnection:
        return await self._reads.enter_async_context(self._store.read())

    async def cancel(self, schedule: str) -> bool:
        return await (await self._begun()).cancel(schedule)

    async def _begun(self) -> Tx:
        if self._tx is None:
            await self._reads.aclose()
            scope = self._store.transaction()
            tx = await scope.__aenter__()
            self._scope = scope  # only what was entered is left again
            if self._claim is not None:
                [written] = await tx.write([Ending(inbox=self._claim)])
                if not written.won:
                    raise KeyTaken
            self._tx = tx
        return self._tx

    async def commit(self, rows: tuple[OutboxRow, ...], said: tuple[str, ...]) -> tuple[OutboxRow, ...]:
        """Write what was said; `KeyTaken` where the key was taken meanwhile."""
        claim = self._claim and self._claim._replace(row=self._claim.row._replace(said=said))
        if self._tx is None:
            if claim is None and not rows:
                return ()
            written = await self._together.commit(Ending(inbox=claim, outbox=rows))
            if written.blocked:
                raise StoreError("another transaction that is still open holds this key: try again")
            if not written.won:
                raise KeyTaken
            return written.outbox
        [written] = await self._tx.write([Ending(inbox=claim and claim._replace(won=True), outbox=rows)])
        scope, self._scope, self._tx = self._scope, None, None
        assert scope is not None
        await scope.__aexit__(None, None, None)
        return written.outbox

    async def leave(self, error: BaseException | None) -> None:
        """Roll back what is open."""
        await self._reads.aclose()
        scope, self._scope, self._tx = self._scope, None, None
        if scope is None:
            return
        why = error or RuntimeError("left without a commit")
        try:
            await scope.__aexit__(type(why), why, why.__traceback__)
        except BaseException as raised:
            if raised is not why:
                raise


class _Seat:
    """A part in an application's transaction: nothing is written before its end, and the application commits."""

    def __init__(self, store: Store, joined: Joined) -> None:
        self._joined = joined
        self._store = store
        self._reads = AsyncExitStack()

    async def open(self) -> AsyncConnection:
        return await self._joined.db()

    async def read(self) -> AsyncConnection:
        return await self._reads.enter_async_context(self._store.read())

    async def cancel(self, schedule: str) -> bool:
        return await self._joined.cancel(schedule)

    async def leave(self) -> None:
        """Give back what was read from."""
        await self._reads.aclose()


@dataclass(slots=True)
class OutsideTransactions:
    """Makes the transactions outside handlers of one service."""

    runtime: Runtime
    declared: Declarations
    builder: OutboxBuilder
    circuits: dict[str, Circuit]
    breaker_changed: StateListener
    full: Callable[[], bool]
    hand: Callable[[Iterable[OutboxRow]], None]
    use: Any = None
    _together: GroupCommit = field(init=False)
    unknown: Callable[[], None] = lambda: None  # a commit may have happened or not: the relay looks again (RULES 3.2)

    def __post_init__(self) -> None:
        self._together = GroupCommit(self.runtime.store, self.runtime.config.commit_rows)

    @asynccontextmanager
    async def transaction(self, key: str | None, correlation_id: str | None) -> AsyncIterator[Outside[Any]]:
        """One transaction; commits when left without an error.

        `OutboxFull` at once where too many events wait; a key that was here before makes `seen` true and gives the
        first correlation id.
        """
        service = self.runtime.service
        self._check_room()
        name = key if key is not None else self.runtime.ids.uuid7()
        mark = inbox_key(service, f"/{service}", "", name)
        first = (await self.runtime.store.inbox([mark])).get(mark) if key is not None else None
        flow = first.correlation_id if first else correlation_id or (name if key is None else self.runtime.ids.uuid7())
        purse = _Purse(self.runtime.store, self._together, self._claim(mark, key, flow) if first is None else None)
        about = AttemptInfo(mark, flow, "", self.runtime.clock.now())
        guard = BreakerGuard(self.circuits, self.runtime.clock, mark, self.breaker_changed)
        tx = Outside(about, self.use, purse, guard, seen=first is not None, check=self._check)
        try:
            yield tx
            await self._commit(tx, purse, key, flow, mark)
        except KeyTaken:
            await purse.leave(None)
            row = (await self.runtime.store.inbox([mark]))[mark]
            tx.found_seen(row.correlation_id)
        except BaseException as error:
            await purse.leave(error)
            raise

    @asynccontextmanager
    async def joined(
        self, key: str | None, correlation_id: str | None, connection: AsyncConnection, nudge: Callable[[], None]
    ) -> AsyncIterator[Outside[Any]]:
        """A part in the transaction that an application has open on `connection`; it commits or rolls back.

        What was said is written when this part ends without an error, and published after the application's commit.
        """
        service = self.runtime.service
        self._check_room()
        joined = await self.runtime.store.join(connection)
        mark = inbox_key(service, f"/{service}", "", key if key is not None else self.runtime.ids.uuid7())
        first = (await joined.inbox([mark])).get(mark) if key is not None else None
        flow = first.correlation_id if first else (correlation_id or self.runtime.ids.uuid7())
        seat = _Seat(self.runtime.store, joined)
        about = AttemptInfo(mark, flow, "", self.runtime.clock.now())
        guard = BreakerGuard(self.circuits, self.runtime.clock, mark, self.breaker_changed)
        tx = Outside(about, self.use, seat, guard, seen=bool(first), check=self._check)
        await tx.db()  # it is open already: calls to the outside come before
        try:
            yield tx
        finally:
            await seat.leave()
        if tx.seen:
            return
        identity = (f"/{service}", "", key) if key is not None else None
        rows = self.builder.rows(tx.said, Causation(identity, service, flow, inbox_key=mark), self.declared.says)
        claim = self._claim(mark, key, flow, tuple(row.event_id for row in rows))
        if claim is None and not rows:
            return
        [written] = await joined.write([Ending(inbox=claim, outbox=rows)])
        if not written.won:
            tx.found_seen((await joined.inbox([mark]))[mark].correlation_id)
            return
        loop = asyncio.get_running_loop()

        def committed() -> None:
            for wait in COMMIT_LOOKS:
                loop.call_later(wait, nudge)

        joined.on_commit(committed)

    def _check(self, said: object) -> None:
        self.builder.check(said, self.runtime.service, self.declared.says)

    def _check_room(self) -> None:
        if self.full():
            service = self.runtime.service
            raise OutboxFull(f"{service} has as many events waiting for the broker as its bound allows: try later")

    def _claim(self, mark: bytes, key: str | None, flow: str, said: tuple[str, ...] = ()) -> InboxWrite | None:
        if key is None:
            return None
        now, service = self.runtime.clock.now().timestamp(), self.runtime.service
        row = InboxRow(mark, service, key, InboxState.HANDLED, 1, correlation_id=flow, said=said, updated=now)
        return InboxWrite(row, 1)

    async def _commit(self, tx: Outside[Any], purse: _Purse, key: str | None, flow: str, mark: bytes) -> None:
        service = self.runtime.service
        identity = (f"/{service}", "", key) if key is not None else None
        cause = Causation(identity, service, flow, inbox_key=mark)
        said = () if tx.seen else tx.said  # what the key has said once is not said again
        rows = self.builder.rows(said, cause, self.declared.says)
        try:
            stored = await purse.commit(rows, tuple(row.event_id for row in rows))
        except (StoreError, asyncio.CancelledError):
            self.unknown()
            raise
        self.hand(stored)
        await purse.leave(None)
