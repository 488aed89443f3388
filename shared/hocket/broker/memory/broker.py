"""The broker in memory: the state that its transports share, and the faults that a test can cause."""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Protocol

from hocket.broker.memory.queues import AnyQueue, Stored, StreamLog, WorkQueue
from hocket.broker.memory.routing import Routing, differing
from hocket.broker.port import Delivery, Handle, Message, Published, Verdict
from hocket.broker.topology import Binding, Topology
from hocket.clock import Clock, SystemClock
from hocket.errors import ConfigError

#: Largest body, in bytes, as in RabbitMQ 4; larger ones are refused.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class Batch:
    """One pending `publish`: its messages, the verdicts so far, and the future that ends it."""

    __slots__ = ("done", "messages", "sender", "verdicts")

    def __init__(self, sender: str, messages: list[tuple[str, Message]]) -> None:
        self.sender = sender
        self.messages = messages
        self.verdicts: list[Published] = []
        self.done: asyncio.Future[list[Published]] = asyncio.get_running_loop().create_future()

    def end(self, verdicts: list[Published]) -> None:
        """Give the publisher its verdicts, unless it has them or was cancelled."""
        if not self.done.done():
            self.done.set_result(verdicts)

    def lose(self, reason: str) -> None:
        """The connection was lost: every verdict is UNKNOWN."""
        self.end([Published(Verdict.UNKNOWN, reason)] * len(self.messages))


class Connected(Protocol):
    """A transport as the broker sees it."""

    @property
    def connecting(self) -> bool:
        """Whether it is connecting now."""
        ...

    def drop(self, heal: bool) -> None:
        """Lose the connection."""
        ...

    def reconnect(self) -> None:
        """Let it connect again."""
        ...


class MemoryBroker:
    """Exchanges, queues and streams of one event loop, shared by its `MemoryTransport`s.

    `clock` gives the time in `x-death`. Everything runs in `call_soon`; `idle` tells when nothing is left to do.
    """

    def __init__(self, *, clock: Clock | None = None, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._clock = clock or SystemClock()
        self._max = max_message_bytes
        self._routing = Routing()
        self._queues: dict[str, AnyQueue] = {}
        self._transports: dict[str, Connected] = {}
        self._dirty: dict[str, None] = {}
        self._scheduled = False
        self._watchers: list[asyncio.Future[None]] = []
        self._moving: dict[Batch, None] = {}
        self._parked: deque[Batch] = deque()
        self._unanswered: list[Batch] = []
        self._alarm = False
        self._silent = False
        self._nacks = 0

    # -- for tests and tools ----------------------------------------------------------------------------

    def idle(self, parked: Collection[str] = ()) -> bool:
        """No unsettled delivery, no message ready for a consumer, no pending publish, no transport connecting.

        Queues in `parked` do not count: their consumer has paused its intake. A publish that an alarm or
        `drop_confirms` holds back does not count either: only the test can let it continue.
        """
        return not (
            self._dirty
            or self._moving
            or any(transport.connecting for transport in self._transports.values())
            or any(not queue.at_rest() for name, queue in self._queues.items() if name not in parked)
        )

    async def changed(self) -> None:
        """Return after the next change of anything that `idle` checks."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        await watcher

    def depth(self, queue: str) -> int:
        """How many messages the queue holds, unsettled or waiting; for a stream, how many it keeps."""
        return len(self._queue(queue).content())

    def messages(self, queue: str) -> list[Delivery]:
        """The messages of the queue, oldest first, left in it; the handle's tag is the position."""
        content = self._queue(queue).content()
        return [delivery(queue, Handle(0, position), one) for position, one in enumerate(content, 1)]

    def names(self) -> list[str]:
        """The names of the queues and streams."""
        return list(self._queues)

    # -- faults --------------------------------------------------------------------------------------------------

    def cut(self, name: str, *, heal: bool = True) -> None:
        """Break the connection of transport `name`; it reconnects at once, or by `reconnect` where not `heal`."""
        transport = self._transports[name]
        lost = [batch for batch in (*self._moving, *self._parked, *self._unanswered) if batch.sender == name]
        for batch in lost:
            self._moving.pop(batch, None)
            batch.lose(f"the connection of {name} to the memory broker was lost")
        self._parked = deque(batch for batch in self._parked if batch.sender != name)
        self._unanswered = [batch for batch in self._unanswered if batch.sender != name]
        transport.drop(heal)
        self.touch()

    def reconnect(self, name: str) -> None:
        """Let a transport that was cut without `heal` connect again."""
        self._transports[name].reconnect()
        self.touch()

    def alarm(self, on: bool) -> None:
        """Block publishes, as memory and disk alarms do; off lets them arrive in their order."""
        self._alarm = on
        while not on and self._parked:
            batch = self._parked.popleft()
            self._moving[batch] = None
            asyncio.get_running_loop().call_soon(self._arrive, batch)

    @property
    def alarmed(self) -> bool:
        """Whether publishes are blocked."""
        return self._alarm

    def drop_confirms(self, on: bool = True) -> None:
        """Accept messages but withhold the confirms: a later `cut` makes them UNKNOWN, off sends the confirms."""
        self._silent = on
        while not on and self._unanswered:
            batch = self._unanswered.pop(0)
            batch.end(batch.verdicts)

    def nack_next(self, count: int) -> None:
        """Answer the next `count` messages with NACKED and drop them."""
        self._nacks = count

    def truncate(self, stream: str, first: int) -> None:
        """Drop all messages of a stream before offset `first`, as its retention does."""
        queue = self._queue(stream)
        if not isinstance(queue, StreamLog):
            raise ConfigError(f"{stream} is a queue, only a stream can be truncated")
        queue.truncate(first)

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""
        self._routing.remove_binding(binding)

    def remove(self, queue: str) -> None:
        """Delete a queue or stream with all it holds, as an operator does; only where nobody consumes it."""
        if self._queue(queue).consumers:
            raise ConfigError(f"{queue} has consumers, which this broker would leave without it; stop them first")
        del self._queues[queue]
        self._routing.remove_queue(queue)

    # -- for transports -------------------------------------------------------------------------------------

    def join(self, name: str, transport: Connected) -> None:
        """Register a transport; `ConfigError` if the name is taken."""
        if name in self._transports:
            raise ConfigError(f"the memory broker has a transport {name} already; give the second another name")
        self._transports[name] = transport

    def leave(self, name: str) -> None:
        """Remove a transport; its pending publishes end UNKNOWN."""
        if name in self._transports:
            self.cut(name, heal=False)
            del self._transports[name]

    def declare(self, topology: Topology) -> None:
        """Add missing objects; `ConfigError` where one exists with other values."""
        for exchange in topology.exchanges:
            self._routing.add_exchange(exchange)
        for queue in topology.queues:
            existing = self._queues.get(queue.name)
            if existing is not None:
                differing("queue", queue.name, queue.arguments, existing.declared.arguments)
                continue
            self._queues[queue.name] = StreamLog(queue) if queue.stream else WorkQueue(queue, self._bury)
            self._routing.add_queue(queue)
        for binding in topology.bindings:
            self._routing.add_binding(binding)
        for held in self._queues.values():
            held.retry_held()
        self.touch()

    def find(self, queue: str) -> AnyQueue | None:
        """The queue or stream of that name."""
        return self._queues.get(queue)

    def discard(self, queue: str) -> bool:
        """Delete a queue and its bindings, unless somebody consumes it."""
        found = self.find(queue)
        if found is not None and found.consumers:
            return False
        if self._queues.pop(queue, None) is not None:
            self._routing.remove_queue(queue)
        return True

    def publish(self, batch: Batch) -> None:
        """Send a batch; it arrives in the next iteration of the loop, the answer in the one after."""
        self._moving[batch] = None
        asyncio.get_running_loop().call_soon(self._arrive, batch)

    def touch(self, queue: str = "") -> None:
        """Something changed: deliver what can be delivered, in the next iteration of the loop."""
        self._dirty[queue] = None
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver_ready)

    # -- inside --------------------------------------------------------------------------------------------------

    def _queue(self, name: str) -> AnyQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise ConfigError(f"queue {name} does not exist on the memory broker; it has {', '.join(self._queues)}")
        return queue

    def _deliver_ready(self) -> None:
        self._scheduled = False
        dirty, self._dirty = self._dirty, {}
        for name in dirty if "" not in dirty else self._queues:
            if name in self._queues:  # else it was removed meanwhile
                self._queues[name].pump()
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    def _arrive(self, batch: Batch) -> None:
        if batch not in self._moving:
            return
        if self._alarm:
            del self._moving[batch]
            self._parked.append(batch)
            self.touch()
            return
        batch.verdicts = [self._accept(message_id, message) for message_id, message in batch.messages]
        if self._silent:
            del self._moving[batch]
            self._unanswered.append(batch)
            self.touch()
            return
        asyncio.get_running_loop().call_soon(self._answer, batch)

    def _answer(self, batch: Batch) -> None:
        if batch in self._moving:
            del self._moving[batch]
            batch.end(batch.verdicts)
            self.touch()

    def _accept(self, message_id: str, message: Message) -> Published:
        if message.exchange and message.exchange not in self._routing.exchanges:
            return Published(Verdict.REFUSED, f"NOT_FOUND - no exchange '{message.exchange}'")
        if len(message.body) > self._max:
            said = f"PRECONDITION_FAILED - message size {len(message.body)} is larger than max size {self._max}"
            return Published(Verdict.REFUSED, said)
        if self._nacks:
            self._nacks -= 1
            return Published(Verdict.NACKED, "the broker could not take it now")
        names = self._routing.queues(message.exchange, message.routing_key)
        for name in names:
            stored = Stored(message.exchange, message.routing_key, message.body, message.content_type, message_id)
            stored.headers, stored.written = dict(message.headers), self._clock.now()
            self._queues[name].push(stored)
            self.touch(name)
        if not names:
            return Published(Verdict.RETURNED, "NO_ROUTE")
        return Published(Verdict.CONFIRMED)

    def _bury(self, queue: WorkQueue, stored: Stored) -> bool:
        """Dead-letter beyond the delivery limit; returns whether a queue accepted it, or none has to."""
        arguments = queue.declared.arguments
        exchange = arguments.get("x-dead-letter-exchange")
        if not isinstance(exchange, str):
            return True
        key = str(arguments.get("x-dead-letter-routing-key", stored.routing_key))
        names = self._routing.queues(exchange, key)
        headers = self._deaths(queue.declared.name, stored)
        for name in names:
            copy = Stored(exchange, key, stored.body, stored.content_type, stored.message_id, dict(headers))
            self._queues[name].push(copy)
            self.touch(name)
        return bool(names) or arguments.get("x-dead-letter-strategy") != "at-least-once"

    def _deaths(self, queue: str, stored: Stored) -> dict[str, object]:
        headers = {name: value for name, value in stored.headers.items() if name != "x-delivery-count"}
        earlier = headers.get("x-death")
        deaths = [death for death in earlier if isinstance(death, dict)] if isinstance(earlier, list) else []
        same = [death for death in deaths if death.get("queue") == queue]
        count = int(same[0]["count"]) + 1 if same else 1
        death: dict[str, object] = {
            "reason": "delivery_limit",
            "count": count,
            "queue": queue,
            "exchange": stored.exchange,
            "routing-keys": [stored.routing_key],
            "time": self._clock.now().replace(microsecond=0),
        }
        headers["x-death"] = [death, *(other for other in deaths if other.get("queue") != queue)]
        headers.setdefault("x-first-death-reason", "delivery_limit")
        headers.setdefault("x-first-death-queue", queue)
        headers.setdefault("x-first-death-exchange", stored.exchange)
        return headers


def delivery(queue: str, handle: Handle, stored: Stored) -> Delivery:
    """A stored message as a delivery."""
    headers = dict(stored.headers)
    if stored.offset is not None:
        headers["x-stream-offset"] = stored.offset
    return Delivery(
        queue=queue,
        handle=handle,
        body=stored.body,
        content_type=stored.content_type,
        headers=headers,
        message_id=stored.message_id,
        exchange=stored.exchange,
        routing_key=stored.routing_key,
        redelivered=stored.returns > 0,
        offset=stored.offset,
    )
