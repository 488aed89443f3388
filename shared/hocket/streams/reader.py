"""Reads a stream or the dead-letter queue for an observer; commits the offset with what it wrote, then acks."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hocket.broker.port import Consumer, Delivery, Handle
from hocket.delivery.intake import PrefetchBudget
from hocket.errors import TransportError
from hocket.observe import QUEUES, Observer, Raw, Reader, Source
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import alone
from hocket.resilience.guard import BreakerGuard
from hocket.resilience.isolation import TeamRun
from hocket.resilience.retrying import until_done
from hocket.resilience.same_fault import fault_of
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.store.port import WriteTransaction
from hocket.store.unit_of_work import UnitOfWork
from hocket.streams.end import end_of
from hocket.streams.first import first_of
from hocket.streams.gap import Kind, judge, mark_of
from hocket.streams.place import Place
from hocket.tx import AttemptInfo, Tx

#: Messages in one batch, and unsettled messages that the broker sends.
BATCH = 256
PREFETCH = 512
#: Bytes of one batch: one message may be larger.
BATCH_BYTES = 16 * 1024 * 1024
#: Waits before a batch is read again after an error.
READ_BACKOFF = Backoff(first=0.2, longest=10.0)
#: Seconds that a reader has for one batch.
READ_SECONDS = 60.0
#: Seconds between two signs of life of a reader that has nothing to read, and between two looks whether there are any.
BEAT_SECONDS = 10.0
#: Seconds without a sign of life after which a reader that lost its place takes it back.
GONE_SECONDS = 45.0
#: Seconds after which a stream that sends nothing for a message that was read is asked for its end.
START_SECONDS = 5.0


class Fenced(Exception):
    """Another reader has taken this stream over (RULES 7.1)."""


class _Reopen(Exception):
    """The connection was lost, or the stream is another one: begin again at the stored place."""


@dataclass(slots=True)
class StreamReader:
    """One reader of one source.

    `reason` says why it does not read, "" while it does. `missed` counts messages of the stream that were removed
    before they were read.
    """

    runtime: Runtime
    source: Source
    call: Reader
    blocking: BlockingCalls
    use: Any = None
    consumer: Consumer | None = None
    reason: str = ""  # why it does not read, "" while it does
    missed: int = 0
    _buffer: deque[Delivery] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _place: Place = field(default_factory=lambda: Place(0, ""))
    _epoch: int = 0
    _budget: PrefetchBudget = field(default_factory=lambda: PrefetchBudget(0, PREFETCH))
    _withheld: list[Handle] = field(default_factory=list)
    _busy: bool = False
    _next: int | None = None  # what must come next; None: whatever comes first

    @property
    def idle(self) -> bool:
        """Whether everything that was delivered is processed."""
        return not self._buffer and not self._busy

    @property
    def held(self) -> int:
        """Messages in memory that are not being read yet."""
        return len(self._buffer)

    @property
    def stream(self) -> bool:
        """Whether its source is a stream, so that it keeps a place of its own."""
        return self.source != "dead"

    @property
    def _name(self) -> str:
        return f"{self.runtime.service}.{self.source}"

    async def run(self) -> None:
        """Read until cancelled; while another reader has taken over, wait until that one is gone."""
        while True:
            if self.stream:
                await self._until_done(self._take_over)
            try:
                await self._open()
                while True:
                    await self._read(await self._take())
            except _Reopen:
                await self._close()
            except Fenced:
                self.reason = reason = (
                    f"another process reads {QUEUES[self.source]} as {self.runtime.service}: stop one of them; this "
                    "one goes on when the other is gone"
                )
                self.runtime.trouble("another reader has taken over", source=self.source)
                await self._close()
                await self._until_gone(reason)
                self.runtime.trouble("the other reader is gone: reading goes on", source=self.source)
                self.reason = ""

    async def _take_over(self) -> None:
        async with self.runtime.store.transaction() as tx:
            known = await tx.offset(self._name)
            place = Place.of(known).taken(self.runtime.ids.uuid7())
            await tx.advance(self._name, known, place.stored())
        self._place = place

    async def _open(self) -> None:
        self._budget = PrefetchBudget(self.runtime.config.intake_bytes, PREFETCH)
        self._buffer.clear()
        self._withheld.clear()
        before = self._place.next - 1 if self.stream and self._place.next else None
        self._next = before
        consume = self.runtime.transport.consume
        self.consumer = await consume(QUEUES[self.source], prefetch=PREFETCH, deliver=self._deliver, offset=before)
        self._epoch = self.consumer.epoch
        if before is not None:
            await self._check_start()

    async def _close(self) -> None:
        if self.consumer is not None:
            await self.consumer.close()

    async def _check_start(self) -> None:
        """RULES 7.2, 7.3: is this the stream that was read, and is nothing missing before what comes?"""
        while not self._buffer:
            self._arrived.clear()
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self._arrived.wait()
            except TimeoutError:
                if await self._shorter():
                    await self._begin_anew()
            self._check_epoch()
        found = judge(self._place.next, self._place.mark, self._buffer[0])
        if found.kind is Kind.ANEW:
            await self._begin_anew()
        if found.kind is Kind.CUT:
            self._next = None
            self._cut(found.missed)

    def _cut(self, missed: int) -> None:
        self.missed += missed
        what = "a stream was cut before it was read: messages are missing"
        self.runtime.trouble(what, source=self.source, missed=missed)

    async def _check_order(self, batch: list[Delivery]) -> None:
        """RULES 7.2: a reader that lags is cut without a new opening: the broker jumps without a word."""
        for each in batch:
            offset, expected = each.offset or 0, self._next
            if expected is not None and offset > expected:
                kept = await first_of(self.runtime.transport, QUEUES[self.source])
                if kept is not None and (kept.offset or 0) > expected:  # else the broker put something of its own there
                    self._cut(offset - expected)
            self._next = max(expected or 0, offset + 1)

    async def _begin_anew(self) -> None:
        self.runtime.trouble(
            "a stream was made anew: it is read from its start", source=self.source, stood_at=self._place.next
        )
        await self._until_done(partial(self._store, self._place.moved(0, "")))
        raise _Reopen

    async def _shorter(self) -> bool:
        """Whether the stream ends before the place; False where the broker does not say."""
        if not self.runtime.transport.link().ready:
            return False
        try:
            return await end_of(self.runtime.transport, QUEUES[self.source]) < self._place.next
        except TransportError:
            return False

    async def _until_gone(self, reason: str) -> None:
        """Return when the place has shown no sign of life for `GONE_SECONDS`, by this process's own clock.

        Meanwhile `reason` says why nothing is read, unless the looking fails.
        """
        monotonic = self.runtime.clock.monotonic
        seen, since = "", monotonic()

        async def look() -> None:
            nonlocal seen, since
            async with self.runtime.store.transaction() as tx:
                stored = await tx.offset(self._name)
            if stored.token != seen:
                seen, since = stored.token, monotonic()

        while monotonic() - since < GONE_SECONDS:
            await self._until_done(look, reason)
            await asyncio.sleep(BEAT_SECONDS / 2)

    def _deliver(self, delivery: Delivery) -> None:
        self._budget.take(len(delivery.body))
        self._buffer.append(delivery)
        self._arrived.set()

    def _check_epoch(self) -> None:
        assert self.consumer is not None
        if self.stream and self.consumer.epoch != self._epoch:
            raise _Reopen

    async def _take(self) -> list[Delivery]:
        assert self.consumer is not None
        while True:
            self._check_epoch()
            batch: list[Delivery] = []
            size = 0
            while self._buffer and len(batch) < BATCH and size < BATCH_BYTES:
                delivery = self._buffer.popleft()
                if delivery.handle.epoch < self.consumer.epoch and not self.stream:
                    self._budget.free(len(delivery.body))
                    continue  # the broker delivers it again
                batch.append(delivery)
                size += len(delivery.body)
            if batch:
                self._busy = True
                return batch
            self._arrived.clear()
            try:
                async with asyncio.timeout(BEAT_SECONDS if self.stream else None):
                    await self._arrived.wait()
            except TimeoutError:
                await self._until_done(lambda: self._store(self._place.beaten()))

    async def _read(self, batch: list[Delivery]) -> None:
        assert self.consumer is not None
        try:
            if self.stream:
                await self._until_done(partial(self._check_order, batch))
            await self._until_done(partial(self._process, batch))
        finally:
            self._busy = False
        for each in batch:
            self._budget.free(len(each.body))
        self._ack([each.handle for each in batch])

    def _ack(self, handles: list[Handle]) -> None:
        """Ack, so that the broker sends more; where bodies are large, so many stay unacked that few are held at once.

        A stream cannot be asked for another prefetch, but each unacked message takes one of it.
        """
        assert self.consumer is not None
        changed = self._budget.change()
        if not self.stream:
            self.consumer.ack(handles)
            if changed is not None:
                self.consumer.limit(max(changed, 1))
            return
        self._withheld += handles
        keep = min(PREFETCH - max(self._budget.current, 1), len(self._withheld))
        ready = len(self._withheld) - keep
        self.consumer.ack(self._withheld[:ready])
        del self._withheld[:ready]

    async def _until_done(self, work: Callable[[], Awaitable[None]], reason: str = "") -> None:
        """Repeat until it succeeds, then give `reason`; only a stop and another reader end it earlier."""

        async def limited() -> None:
            async with asyncio.timeout(READ_SECONDS):
                await work()
            self.reason = reason

        def failed(error: BaseException) -> None:
            if isinstance(error, Fenced) or self.runtime.tasks.cancelling():
                raise error
            self.reason = f"the reader of {QUEUES[self.source]} fails and tries again: {type(error).__name__}"
            self.runtime.trouble(
                "a reader failed",
                source=self.source,
                error=type(error).__name__,
                place=fault_of(error, self.call).place,
            )

        # A reader may raise anything, also SystemExit and a CancelledError of its own; the batch is read again.
        any_error = (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt, BaseExceptionGroup)
        await until_done(limited, READ_BACKOFF, self.runtime.chance, on=any_error, failed=failed)

    async def _store(self, place: Place) -> None:
        """Move the place without reading; `Fenced` where another reader holds it."""
        async with self.runtime.store.transaction() as tx:
            known = Place.of(await tx.offset(self._name))
            if known.holder != self._place.holder or not await tx.advance(self._name, known.stored(), place.stored()):
                raise Fenced
        self._place = place

    async def _process(self, batch: list[Delivery]) -> None:
        if not self.stream:
            async with self.runtime.store.transaction() as tx:
                await self._call_apart(batch, tx)
            return
        async with self.runtime.store.transaction() as tx:
            known = Place.of(await tx.offset(self._name))
            if known.holder != self._place.holder:
                raise Fenced
            self._place = known  # ahead of ours where a commit of unknown outcome did take place
            fresh = [each for each in batch if (each.offset or 0) >= known.next]
            if not fresh:
                return
            await self._call_apart(fresh, tx)
            to = known.moved((fresh[-1].offset or 0) + 1, mark_of(fresh[-1]))
            if not await tx.advance(self._name, known.stored(), to.stored()):
                raise Fenced
        self._place = to

    async def _call_apart(self, batch: list[Delivery], tx: WriteTransaction) -> None:
        run = TeamRun(self._name, self.runtime.tasks.leave)
        await run.result_of(self.call, [_raw(each) for each in batch], self._tx(tx))

    def _tx(self, tx: WriteTransaction) -> Tx[Any]:
        about = AttemptInfo(b"", "", "", self.runtime.clock.now())
        guard = BreakerGuard(alone(self.runtime.clock), self.runtime.clock)
        return Tx(about, self.use, UnitOfWork.within(tx), guard, self.blocking)


def _raw(delivery: Delivery) -> Raw:
    return Raw(delivery.body, delivery.headers, delivery.offset, delivery.content_type, delivery.routing_key)


def readers_of(runtime: Runtime, service: object, blocking: BlockingCalls) -> list[StreamReader]:
    """The readers that a service declares; only an observer declares some."""
    declared = service.readers if isinstance(service, Observer) else {}
    return [StreamReader(runtime, source, call, blocking) for source, call in declared.items()]
