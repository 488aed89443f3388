"""The broker in memory: what its transports share, and the faults that a test may ask of it."""

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
    """One `publish` under way: its messages, the verdicts so far, and the future that ends it."""

    __slots__ = ("done", "messages", "sender", "verdicts")

    def __init__(self, sender: str, messages: list[tuple[str, Message]]) -> None:
        self.sender = sender
        self.messages = messages
        self.verdicts: list[Published] = []
        self.done: asyncio.Future[list[Published]] = asyncio.get_running_loop().create_future()

    def end(self, verdicts: list[Published]) -> None:
        """Tell the publisher, unless it was told or has gone."""
        if not self.done.done():
            self.done.set_result(verdicts)

    def lose(self, reason: str) -> None:
        """The connection is lost: nobody knows."""
        self.end([Published(Verdict.UNKNOWN, reason)] * len(self.messages))


class Connected(Protocol):
    """A transport as the broker sees it."""

    @property
    def connecting(self) -> bool:
        """Whether it is about to be connected by itself."""
        ...

    def drop(self, heal: bool) -> None:
        """Lose the connection."""
        ...

    def heal(self) -> None:
        """Let it connect again."""
        ...


class MemoryBroker:
    """Exchanges, queues and streams of one event loop, shared by its `MemoryTransport`s.

    `clock` gives the time in `x-death`. Everything moves in `call_soon`; `idle` says when nothing moves any more.
    """

    def __init__(self, *, clock: Clock | None = None, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._clock = clock or SystemClock()
        self._max = max_message_bytes
        self._routing = Routing()
        self._queues: dict[str, AnyQueue] = {}
        self._transports: dict[str, Connected] = {}
        self._dirty: dict[str, None] = {}
        self._turning = False
        self._watchers: list[asyncio.Future[None]] = []
        self._moving: dict[Batch, None] = {}
        self._parked: deque[Batch] = deque()
        self._unanswered: list[Batch] = []
        self._alarm = False
        self._silent = False
        self._nacks = 0

    # -- what a test or a tool asks ----------------------------------------------------------------------------

    def idle(self, parked: Collection[str] = ()) -> bool:
        """Nothing in work, nothing ready that has a consumer, no publish moving, no transport connecting.

        Queues in `parked` do not count: their consumer has shut its intake. A publish that an alarm or `drop_confirms`
        holds back does not count either: only the test can move it.
        """
        return not (
            self._dirty
            or self._moving
            or any(transport.connecting for transport in self._transports.values())
            or any(not queue.at_rest() for name, queue in self._queues.items() if name not in parked)
        )

    async def changed(self) -> None:
        """Return after the next change of anything `idle` looks at."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        await watcher

    def depth(self, queue: str) -> int:
        """How many messages are in the queue, in work or waiting; of a stream, how many it keeps."""
        return len(self._queue(queue).content())

    def messages(self, queue: str) -> list[Delivery]:
        """What is in the queue, oldest first, untouched; the tag of the handle is the place."""
        return [delivery(queue, Handle(0, place), one) for place, one in enumerate(self._queue(queue).content(), 1)]

    def names(self) -> list[str]:
        """The queues and streams that stand."""
        return list(self._queues)

    # -- faults --------------------------------------------------------------------------------------------------

    def cut(self, name: str, *, heal: bool = True) -> None:
        """Break the connection of transport `name`; it comes back by itself, or with `mend` where not `heal`."""
        transport = self._transports[name]
        lost = [batch for batch in (*self._moving, *self._parked, *self._unanswered) if batch.sender == name]
        for batch in lost:
            self._moving.pop(batch, None)
            batch.lose(f"the connection of {name} to the memory broker was lost")
        self._parked = deque(batch for batch in self._parked if batch.sender != name)
        self._unanswered = [batch for batch in self._unanswered if batch.sender != name]
        transport.drop(heal)
        self.touch()

    def mend(self, name: str) -> None:
        """Let a transport that was cut for good connect again."""
        self._transports[name].heal()
        self.touch()

    def alarm(self, on: bool) -> None:
        """Hold publishes back, as memory and disk alarms do; off lets them arrive in their order."""
        self._alarm = on
        while not on and self._parked:
            batch = self._parked.popleft()
            self._moving[batch] = None
            asyncio.get_running_loop().call_soon(self._arrive, batch)

    @property
    def alarmed(self) -> bool:
        """Whether publishes are held back."""
        return self._alarm

    def drop_confirms(self, on: bool = True) -> None:
        """Take messages but keep the answer back: a later `cut` makes them UNKNOWN, off sends the answers."""
        self._silent = on
        while not on and self._unanswered:
            batch = self._unanswered.pop(0)
            batch.end(batch.verdicts)

    def nack_next(self, count: int) -> None:
        """Answer the next `count` messages with NACKED and keep none of them."""
        self._nacks = count

    def truncate(self, stream: str, first: int) -> None:
        """Let retention of a stream forget everything before offset `first`."""
        queue = self._queue(stream)
        if not isinstance(queue, StreamLog):
            raise ConfigError(f"{stream} is a queue, only a stream can be truncated")
        queue.truncate(first)

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""
        self._routing.remove_binding(binding)

    # -- what transports ask -------------------------------------------------------------------------------------

    def join(self, name: str, transport: Connected) -> None:
        """Know a transport by its name; two of one name cannot be told apart."""
        if name in self._transports:
            raise ConfigError(f"the memory broker has a transport {name} already; give the second another name")
        self._transports[name] = transport

    def leave(self, name: str) -> None:
        """Forget a transport, its publishes under way end UNKNOWN."""
        if name in self._transports:
            self.cut(name, heal=False)
            del self._transports[name]

    def declare(self, topology: Topology) -> None:
        """Add what is not there; `ConfigError` where something stands with other values."""
        for exchange in topology.exchanges:
            self._routing.add_exchange(exchange)
        for queue in topology.queues:
            standing = self._queues.get(queue.name)
            if standing is not None:
                differing("queue", queue.name, queue.arguments, standing.declared.arguments)
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

    def publish(self, batch: Batch) -> None:
        """Let a batch set out; it arrives in the next turn of the loop, the answer is a turn behind."""
        self._moving[batch] = None
        asyncio.get_running_loop().call_soon(self._arrive, batch)

    def touch(self, queue: str = "") -> None:
        """Something changed: hand over what can be handed over, in the next turn of the loop."""
        self._dirty[queue] = None
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    # -- inside --------------------------------------------------------------------------------------------------

    def _queue(self, name: str) -> AnyQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise ConfigError(f"queue {name} does not stand on the memory broker; it has {', '.join(self._queues)}")
        return queue

    def _turn(self) -> None:
        self._turning = False
        dirty, self._dirty = self._dirty, {}
        for name in dirty if "" not in dirty else self._queues:
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
        batch.verdicts = [self._take(message_id, message) for message_id, message in batch.messages]
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

    def _take(self, message_id: str, message: Message) -> Published:
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
            stored.headers = dict(message.headers)
            self._queues[name].push(stored)
            self.touch(name)
        if not names:
            return Published(Verdict.RETURNED, "NO_ROUTE")
        return Published(Verdict.CONFIRMED)

    def _bury(self, queue: WorkQueue, stored: Stored) -> bool:
        """Dead-letter beyond the delivery limit; whether somebody took it (or nobody has to)."""
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
    """A stored message as a consumer gets it."""
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
