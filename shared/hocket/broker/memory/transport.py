"""The transport over a broker in memory: one service's connection, with its consumers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hocket.broker.memory.broker import Batch, MemoryBroker, delivery
from hocket.broker.memory.queues import Stored, WorkQueue
from hocket.broker.port import Consumer, Deliver, Depth, Handle, Link, Message, Published, Start, Verdict
from hocket.broker.topology import Binding, Topology
from hocket.errors import HocketError, TransportError


class MemoryConsumer:
    """One consumer of one queue in memory; its epoch increases when the connection is lost."""

    def __init__(
        self,
        broker: MemoryBroker,
        queue: str,
        prefetch: int,
        deliver: Deliver,
        offset: Start | None,
        whole: bool = False,
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._prefetch = prefetch
        self._deliver = deliver
        self._offset: Start | None = offset
        self._epoch = 1
        self._tag = 0
        self._unacked: dict[int, Stored] = {}
        self._attached = False
        self._ended = False
        self._whole = whole

    @property
    def epoch(self) -> int:
        """The current channel epoch."""
        return self._epoch

    @property
    def ended(self) -> bool:
        """Whether it was cancelled or closed by the service."""
        return self._ended

    @property
    def credit(self) -> int:
        """How many more deliveries it accepts now."""
        return self._prefetch - len(self._unacked) if self._attached else 0

    def take(self, stored: Stored) -> None:
        """Deliver one message to the service."""
        self._tag += 1
        self._unacked[self._tag] = stored
        if stored.offset is not None:
            self._offset = stored.offset + 1
        if not self._ended:
            self._deliver(delivery(self._queue, Handle(self._epoch, self._tag), stored))

    def start(self) -> None:
        """Start, or start again after a reconnect."""
        queue = self._broker.find(self._queue)
        if queue is None:
            raise TransportError(f"queue {self._queue} cannot be consumed: it does not exist on the memory broker")
        if self._ended or self._attached:
            return
        self._attached = True
        queue.attach(self, self._offset)
        self._broker.touch(self._queue)

    def lose(self) -> None:
        """The connection is lost: unsettled deliveries return, handles of this epoch become invalid."""
        self._return(list(self._unacked))
        self._detach()
        self._epoch += 1
        self._tag = 0

    def ack(self, handles: Sequence[Handle]) -> None:
        """Settle; handles of older epochs are ignored."""
        queue = self._broker.find(self._queue)
        for handle in handles:
            stored = self._unacked.pop(handle.tag, None) if handle.epoch == self._epoch else None
            if stored is not None and queue is not None:
                queue.acked(stored)
        self._broker.touch(self._queue)

    def give_back(self, handles: Sequence[Handle]) -> None:
        """Return to the queue; a whole consumer does so when it ends."""
        if self._whole:
            return
        self._return([handle.tag for handle in handles if handle.epoch == self._epoch])

    def limit(self, prefetch: int) -> None:
        """Change the prefetch; 0 pauses until it is raised. A whole consumer keeps its own."""
        if self._whole:
            return
        self._prefetch = prefetch
        self._broker.touch(self._queue)

    async def cancel(self) -> None:
        """Stop deliveries; a whole consumer stays until it is closed."""
        self._ended = True
        if not self._whole:
            self._detach()

    async def known(self) -> bool:
        """Whether it still consumes."""
        return self._attached

    async def renew(self) -> None:
        """Return what is unsettled and consume again, behind the other consumers."""
        self.lose()
        if not self._ended:
            self.start()

    async def close(self) -> None:
        """Return what was not settled."""
        self._ended = True
        self.lose()

    def _detach(self) -> None:
        queue = self._broker.find(self._queue)
        if queue is not None and self._attached:
            queue.detach(self)
        self._attached = False
        self._broker.touch()

    def _return(self, tags: list[int]) -> None:
        queue = self._broker.find(self._queue)
        back = [self._unacked.pop(tag) for tag in sorted(tags) if tag in self._unacked]
        if queue is not None and back:
            queue.returned(back)
            self._broker.touch(self._queue if isinstance(queue, WorkQueue) else "")


class MemoryTransport:
    """A transport over a `MemoryBroker`; `name` is the service's and unique on the broker."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self._broker = broker
        self._name = name
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._watchers: list[Callable[[], None]] = []
        self._consumers: list[MemoryConsumer] = []
        self._connect: asyncio.Task[None] | None = None
        self._ready = False
        self._closed = False
        self._refusal: HocketError | None = None
        self._changed = asyncio.Event()
        self._published = 0
        self._since = 0.0
        self._reason = "not opened yet"
        self._untried = True

    @property
    def connecting(self) -> bool:
        """Whether it is connecting now."""
        return self._connect is not None and not self._connect.done()

    async def open(self) -> None:
        """Start to connect."""
        self._broker.join(self._name, self)
        self._since = asyncio.get_running_loop().time()
        self._reason = "connecting to the memory broker"
        self._start_connecting()

    async def close(self) -> None:
        """Close; pending publishes end UNKNOWN."""
        if self._closed:
            return
        self._closed = True
        self._broker.leave(self._name)
        self._set_reason("closed")
        if self._connect is not None:
            self._connect.cancel()
            await asyncio.gather(self._connect, return_exceptions=True)

    def link(self) -> Link:
        """The state of the connection, for readiness."""
        if self._ready and self._broker.alarmed:
            return Link(False, "the memory broker has an alarm and blocks publishes", self._since)
        return Link(self._ready, "" if self._ready else self._reason, self._since, self._untried, "memory://")

    async def until_ready(self) -> None:
        """Return when connected; raises what a callback of `on_ready` raised (usually a `ConfigError`)."""
        while not self._ready:
            if self._closed:
                raise TransportError(f"the transport of {self._name} was closed")
            if self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            if self._connect is not None and self._connect.done() and not self._connect.cancelled():
                self._connect.result()
            self._changed.clear()
            await self._changed.wait()

    def on_change(self, call: Callable[[], None]) -> None:
        """Run `call` after each change of the connection."""
        self._watchers.append(call)

    def on_ready(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run `call` after each following (re)connect, before consumers start again."""
        self._callbacks.append(call)

    async def declare(self, topology: Topology) -> None:
        """Declare; only adds."""
        if self._closed:
            raise TransportError(f"the transport of {self._name} was closed")
        self._broker.declare(topology)

    async def remove(self, queue: str) -> bool:
        """Delete a queue with all that waits in it; False: it is kept, because somebody consumes it."""
        return self._broker.discard(queue)

    async def depth(self, queue: str) -> Depth | None:
        """What waits in a queue; None where there is no such queue."""
        found = self._broker.find(queue)
        if isinstance(found, WorkQueue):
            return Depth(len(found.ready), found.consumers)
        return None if found is None else Depth(len(found.content()), 0)

    async def unbind(self, bindings: Sequence[Binding]) -> None:
        """Remove these bindings of queues; one that is gone is no error."""
        for each in bindings:
            self._broker.unbind(each)

    async def consume(
        self, queue: str, *, prefetch: int, deliver: Deliver, offset: Start | None = None, whole: bool = False
    ) -> Consumer:
        """Consume as soon as connected."""
        consumer = MemoryConsumer(self._broker, queue, prefetch, deliver, offset, whole)
        await self.until_ready()
        consumer.start()
        self._consumers.append(consumer)
        return consumer

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Publish all; UNKNOWN at once while not connected."""
        if self._closed:
            raise TransportError(f"the transport of {self._name} was closed: nothing can be published any more")
        if not messages:
            return []
        if not (self._ready or self.connecting):
            return [Published(Verdict.UNKNOWN, self._reason)] * len(messages)
        numbered: list[tuple[str, Message]] = []
        for message in messages:
            self._published += 1
            numbered.append((f"{self._name}-{self._published}", message))
        batch = Batch(self._name, numbered)
        self._broker.publish(batch)
        return await batch.done

    def drop(self, heal: bool) -> None:
        """Lose the connection; it reconnects at once where `heal`."""
        if self._connect is not None:
            self._connect.cancel()
        for consumer in self._consumers:
            consumer.lose()
        self._ready = False
        self._set_reason("the connection to the memory broker was lost")
        if heal and not self._closed:
            self._start_connecting()

    def reconnect(self) -> None:
        """Connect again after a loss."""
        if not self._ready and not self._closed and not self.connecting:
            self._start_connecting()

    def _set_reason(self, reason: str) -> None:
        self._reason, self._untried = reason, False
        self._since = asyncio.get_running_loop().time()
        self._changed.set()
        for call in self._watchers:
            call()

    def _start_connecting(self) -> None:
        self._connect = asyncio.get_running_loop().create_task(self._become_ready())
        self._connect.add_done_callback(self._on_connected)

    def _on_connected(self, _: asyncio.Task[None]) -> None:
        self._changed.set()
        self._broker.touch()

    async def _become_ready(self) -> None:
        for call in self._callbacks:
            try:
                await call()
            except HocketError as refused:
                self._refusal = refused
                self._set_reason(str(refused))
                return
        self._ready = True
        self._set_reason("")
        self._consumers = [consumer for consumer in self._consumers if not consumer.ended]
        for consumer in self._consumers:
            try:
                consumer.start()
            except TransportError as gone:
                self._set_reason(str(gone))
