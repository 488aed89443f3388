"""Reads a stream or the dead-letter queue for an observer; commits the offset with what it wrote, then acks."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hocket.broker.port import Consumer, Delivery
from hocket.observe import QUEUES, Raw, Reader, Source
from hocket.resilience.guard import BreakerGuard
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.store.port import WriteTransaction
from hocket.store.records import Offset
from hocket.store.unit_of_work import UnitOfWork
from hocket.tx import AttemptInfo, Tx

#: Messages in one batch, and unsettled messages that the broker sends.
BATCH = 256
PREFETCH = 512
#: Waits before a batch is read again after an error.
READ_BACKOFF = Backoff(first=0.2, longest=10.0)
#: Seconds that a reader has for one batch.
READ_SECONDS = 60.0


class Fenced(Exception):
    """Another reader has taken this stream over (RULES 7.1)."""


@dataclass(slots=True)
class StreamReader:
    """One reader of one source."""

    runtime: Runtime
    source: Source
    call: Reader
    use: Any = None
    consumer: Consumer | None = None
    reason: str = ""  # why it does not read, "" while it does
    _buffer: deque[Delivery] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: Offset = field(default_factory=Offset)
    _busy: bool = False

    @property
    def idle(self) -> bool:
        """Whether everything that was delivered is processed."""
        return not self._buffer and not self._busy

    @property
    def _name(self) -> str:
        return f"{self.runtime.service}.{self.source}"

    async def run(self) -> None:
        """Read until cancelled; ends without an error when another reader has taken over."""
        queue = QUEUES[self.source]
        stream = self.source != "dead"
        if stream:
            await self._until_done(self._take_over)
        offset = self._seen.next if stream else None
        self.consumer = await self.runtime.transport.consume(
            queue, prefetch=PREFETCH, deliver=self._deliver, offset=offset
        )
        while True:
            batch = await self._take()
            try:
                await self._until_done(partial(self._process, batch, stream))
            except Fenced:
                self.reason = (
                    f"another process reads {queue} as {self.runtime.service}: stop one of them, then start this one "
                    "again; each needs a database of its own"
                )
                self.runtime.trouble("another reader has taken over", source=self.source)
                await self.consumer.cancel()
                return
            finally:
                self._busy = False
            self.consumer.ack([each.handle for each in batch])

    async def _take_over(self) -> None:
        async with self.runtime.store.transaction() as tx:
            known = await tx.offset(self._name)
            self._seen = Offset(known.next, self.runtime.ids.uuid7())
            await tx.advance(self._name, known, self._seen)

    def _deliver(self, delivery: Delivery) -> None:
        self._buffer.append(delivery)
        self._arrived.set()

    async def _take(self) -> list[Delivery]:
        assert self.consumer is not None
        while True:
            batch: list[Delivery] = []
            while self._buffer and len(batch) < BATCH:
                delivery = self._buffer.popleft()
                if delivery.handle.epoch < self.consumer.epoch and delivery.offset is None:
                    continue  # the broker delivers it again
                batch.append(delivery)
            if batch:
                self._busy = True
                return batch
            self._arrived.clear()
            await self._arrived.wait()

    async def _until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat until it succeeds; only a stop and another reader end it earlier."""

        async def limited() -> None:
            async with asyncio.timeout(READ_SECONDS):
                await work()
            self.reason = ""

        def failed(error: BaseException) -> None:
            if isinstance(error, Fenced) or self.runtime.tasks.cancelling():
                raise error
            self.reason = f"the reader of {QUEUES[self.source]} fails and tries again: {type(error).__name__}"
            self.runtime.trouble("a reader failed", source=self.source, error=repr(error))

        # A reader may raise anything, also a CancelledError of its own; the batch is read again.
        any_error = (Exception, asyncio.CancelledError)
        await until_done(limited, READ_BACKOFF, self.runtime.chance, on=any_error, failed=failed)

    async def _process(self, batch: list[Delivery], stream: bool) -> None:
        async with self.runtime.store.transaction() as tx:
            known = await tx.offset(self._name) if stream else self._seen
            if known.token != self._seen.token:
                raise Fenced
            self._seen = known  # ahead of ours where a commit of unknown outcome did take place
            fresh = [each for each in batch if not stream or (each.offset or 0) >= known.next]
            if not fresh:
                return
            await self.call([_raw(each) for each in fresh], self._tx(tx))
            if not stream:
                return
            last = fresh[-1].offset or 0
            to = Offset(last + 1, self._seen.token)
            if not await tx.advance(self._name, self._seen, to):
                raise Fenced
        self._seen = to

    def _tx(self, tx: WriteTransaction) -> Tx[Any]:
        about = AttemptInfo(b"", "", "", self.runtime.clock.now())
        return Tx(
            about, self.use, UnitOfWork.within(tx), BreakerGuard({}, self.runtime.clock, b"", lambda name, state: None)
        )


def _raw(delivery: Delivery) -> Raw:
    return Raw(delivery.body, delivery.headers, delivery.offset, delivery.content_type, delivery.routing_key)
