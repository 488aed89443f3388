"""`service.tx()`: a transaction outside handlers, with the same inbox and outbox (RULES 2.3)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.declarations.choreography import Declarations
from hocket.envelope.keys import inbox_key
from hocket.errors import KeyTaken, OutboxFull, StoreError
from hocket.masking.mask import take
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import Breakers
from hocket.resilience.guard import BreakerGuard
from hocket.runtime import Runtime
from hocket.store.group_commit import CallerLedCommit
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, OutboxRow
from hocket.store.unit_of_work import Superseded, UnitOfWork
from hocket.tx import AttemptInfo, Outside

#: Seconds after an application's commit at which the relay looks for its rows; after that, and where the commit was not
#: noticed, it looks every few seconds (`HOCKET_OUTBOX_LOOK_SECONDS`).
COMMIT_LOOKS = (0.0, 0.01, 0.05, 0.25)


@dataclass(slots=True)
class OutsideTransactions:
    """Makes the transactions outside handlers of one service."""

    runtime: Runtime
    declared: Declarations
    builder: OutboxBuilder
    breakers: Breakers
    full: Callable[[], bool]
    committed: Callable[[Iterable[OutboxRow]], None]
    blocking: BlockingCalls
    use: Any = None
    _group_commit: CallerLedCommit = field(init=False)
    unknown: Callable[[], None] = lambda: None  # a commit may have happened or not: the relay looks again (RULES 3.2)

    def __post_init__(self) -> None:
        self._group_commit = CallerLedCommit(self.runtime.store, self.runtime.config.commit_attempts)

    @asynccontextmanager
    async def transaction(self, key: str | None, correlation_id: str | None) -> AsyncIterator[Outside[Any]]:
        """One transaction; commits when left without an error.

        `OutboxFull` where too many events wait: at once for a new key, else when something is said; a transaction that
        only reads is never refused. A key that was here before makes `seen` true and gives the first correlation id.
        """
        store, ids = self.runtime.store, self.runtime.ids
        name = key if key is not None else ids.uuid7()
        row_key = self._row_key(name)
        first = (await store.inbox([row_key])).get(row_key) if key is not None else None
        if key is not None and first is None:
            self._check_room()
        flow = first.correlation_id if first else correlation_id or (name if key is None else ids.uuid7())
        claim = self._claim(row_key, key, flow) if first is None else None
        unit = UnitOfWork(store, claim, share=self._group_commit.commit)
        guard = BreakerGuard(self.breakers, self.runtime.clock)
        tx = self._outside(self._causation(row_key, key, flow), unit, guard, seen=first is not None)
        take(tx.mask)
        try:
            yield tx
            self.committed(await self._commit(unit, self._ending(tx, row_key, key, flow)))
            await unit.leave()
        except Superseded as error:
            await unit.leave(error)
            if not unit.lost:  # raised by another transaction around this one
                raise
            tx.found_seen((await store.inbox([row_key]))[row_key].correlation_id)
        except BaseException as error:
            await guard.end(error)
            await unit.leave(error)
            raise
        finally:
            if guard.busy:
                await guard.end()

    @asynccontextmanager
    async def claimed(self, key: str, correlation_id: str) -> AsyncIterator[Outside[Any]]:
        """One transaction under a key that is claimed elsewhere (RULES 13.2); commits when left without an error.

        The keys are derived from `key`, and no inbox row is written: whoever claimed it writes in this transaction that
        it has ended, and raises where another run has taken it.
        """
        row_key = self._row_key(key)
        unit = UnitOfWork(self.runtime.store)
        guard = BreakerGuard(self.breakers, self.runtime.clock)
        cause = self._causation(row_key, key, correlation_id)
        tx = self._outside(cause, unit, guard, seen=False)
        take(tx.mask)
        try:
            yield tx
            rows = self.builder.rows(tx.said, cause, self.declared.says, tx.named)
            self.committed(await self._commit(unit, Ending(None, rows, receipt=self._fact(tx.reported))))
            await unit.leave()
        except BaseException as error:
            await guard.end(error)
            await unit.leave(error)
            raise
        finally:
            if guard.busy:
                await guard.end()

    @asynccontextmanager
    async def joined(
        self, key: str | None, correlation_id: str | None, connection: AsyncConnection, look_soon: Callable[[], None]
    ) -> AsyncIterator[Outside[Any]]:
        """A part in the transaction that an application has open on `connection`; it commits or rolls back.

        What was said is written when this part ends without an error, and published after the application's commit.
        `KeyTaken` where another transaction used the key meanwhile: what the application wrote must not be committed.
        """
        joined = await self.runtime.store.join(connection)
        row_key = self._row_key(key if key is not None else self.runtime.ids.uuid7())
        first = (await joined.inbox([row_key])).get(row_key) if key is not None else None
        if key is not None and first is None:
            self._check_room()
        flow = first.correlation_id if first else (correlation_id or self.runtime.ids.uuid7())
        unit = UnitOfWork.within(joined, self.runtime.store)
        guard = BreakerGuard(self.breakers, self.runtime.clock)
        tx = self._outside(self._causation(row_key, key, flow), unit, guard, seen=first is not None)
        take(tx.mask)
        await tx.db()  # it is open already: calls to the outside come before
        try:
            yield tx
        finally:
            await unit.leave()
        ending = self._ending(tx, row_key, key, flow)
        if ending == Ending():
            return
        [written] = await joined.write([ending])
        if not written.won:
            # The kit cannot take back what the application has written: only an error makes it roll back.
            raise KeyTaken(
                f"{self.runtime.service}.tx(key={key!r}) was used by another transaction meanwhile: let this error "
                "leave your own transaction, so that it is rolled back, and ask again: then tx.seen is true"
            )
        loop = asyncio.get_running_loop()

        def look_again() -> None:
            for wait in COMMIT_LOOKS:
                loop.call_later(wait, look_soon)

        joined.on_commit(look_again)

    def _check(self, said: object) -> None:
        self._check_room()
        self.builder.check(said, self.runtime.service, self.declared.says)

    def _check_room(self) -> None:
        if self.full():
            service = self.runtime.service
            raise OutboxFull(f"{service} has as many events waiting for the broker as its bound allows: try later")

    def _row_key(self, name: str) -> bytes:
        service = self.runtime.service
        return inbox_key(service, f"/{service}", "", name)

    def _causation(self, row_key: bytes, key: str | None, flow: str) -> Causation:
        service = self.runtime.service
        identity = (f"/{service}", "", key) if key is not None else None
        return Causation(identity, service, flow, inbox_key=row_key)

    def _outside(self, cause: Causation, unit: UnitOfWork, guard: BreakerGuard, *, seen: bool) -> Outside[Any]:
        about = AttemptInfo(cause.inbox_key, cause.correlation_id, "", self.runtime.clock.now())
        keys, source = self.builder.keys(cause), f"/{self.runtime.service}"
        return Outside(
            about,
            self.use,
            unit,
            guard,
            seen=seen,
            check=self._check,
            blocking=self.blocking,
            source=source,
            keys=keys,
        )

    def _claim(self, row_key: bytes, key: str | None, flow: str, said: tuple[str, ...] = ()) -> InboxWrite | None:
        if key is None:
            return None
        service = self.runtime.service
        row = InboxRow(row_key, service, key, InboxState.HANDLED, 1, correlation_id=flow, said=said)
        return InboxWrite(row, 1)

    def _ending(self, tx: Outside[Any], row_key: bytes, key: str | None, flow: str) -> Ending:
        """The key and what was said; nothing where the key was here before: what it has said is not said again."""
        if tx.seen:
            return Ending()
        rows = self.builder.rows(tx.said, self._causation(row_key, key, flow), self.declared.says, tx.named)
        claim = self._claim(row_key, key, flow, tuple(row.event_id for row in rows))
        return Ending(claim, rows, receipt=self._fact(tx.reported))

    def _fact(self, reported: Mapping[str, object]) -> bytes:
        """An observer's fact for the receipts stream; empty where there is none."""
        if not reported:
            return b""
        mine = self.runtime.instance
        about = {"service": mine.service, "instance": mine.instance, "boot": mine.boot}
        time = rfc3339(self.runtime.clock.now())
        return json.dumps({**reported, **about, "time": time}, ensure_ascii=False).encode("utf-8", "replace")

    async def _commit(self, unit: UnitOfWork, ending: Ending) -> tuple[OutboxRow, ...]:
        try:
            return await unit.commit(ending)
        except (StoreError, asyncio.CancelledError):
            self.unknown()
            raise
