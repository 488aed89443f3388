"""Queues that behave as RabbitMQ's quorum queues, and streams."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from hocket.broker.port import LAST, NEXT, Start
from hocket.broker.topology import Queue

OLDEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Stored:
    """One message in one queue."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    message_id: str
    headers: dict[str, object] = field(default_factory=dict)
    returns: int = 0
    offset: int | None = None
    written: datetime = OLDEST  # to a stream


class QueueConsumer(Protocol):
    """A consumer as a queue sees it."""

    @property
    def credit(self) -> int:
        """How many more deliveries it accepts now."""
        ...

    def take(self, stored: Stored) -> None:
        """Deliver one message."""
        ...


class WorkQueue:
    """First in, first out; competing consumers, or one active at a time; a delivery limit.

    What returns stands before what was never delivered, behind what returned before it, as in a quorum queue.
    """

    def __init__(self, declared: Queue, bury: Callable[["WorkQueue", Stored], bool]) -> None:
        self.declared = declared
        self._bury = bury
        self._limit = declared.arguments.get("x-delivery-limit")
        self._consumers: deque[QueueConsumer] = deque()
        self._single = bool(declared.arguments.get("x-single-active-consumer"))
        self._ready: deque[Stored] = deque()
        self._back: deque[Stored] = deque()  # returned
        #: Dead-lettered at-least-once, but no queue accepts them: kept here until the topology changes.
        self.held: list[Stored] = []
        self.unacked: dict[int, Stored] = {}

    @property
    def consumers(self) -> int:
        """How many consumers it has."""
        return len(self._consumers)

    def attach(self, consumer: QueueConsumer, offset: Start | None) -> None:
        """Add a consumer; `offset` is for streams."""
        del offset
        self._consumers.append(consumer)

    def detach(self, consumer: QueueConsumer) -> None:
        """Remove a consumer."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def push(self, stored: Stored) -> None:
        """Append a message."""
        self._ready.append(stored)

    def acked(self, stored: Stored) -> None:
        """A delivered message is settled."""
        self.unacked.pop(id(stored), None)

    def returned(self, several: Iterable[Stored]) -> None:
        """Put delivered messages back, in their order; beyond the limit they are dead-lettered."""
        for stored in several:
            self.unacked.pop(id(stored), None)
            stored.returns += 1
            if isinstance(self._limit, int) and stored.returns > self._limit:
                if not self._bury(self, stored):
                    self.held.append(stored)
                continue
            stored.headers = {**stored.headers, "x-delivery-count": stored.returns}
            self._back.append(stored)

    def retry_held(self) -> None:
        """Try again to dead-letter what no queue accepted."""
        self.held = [stored for stored in self.held if not self._bury(self, stored)]

    def pump(self) -> None:
        """Deliver while a consumer has credit."""
        while self._back or self._ready:
            consumer = self._next_consumer()
            if consumer is None:
                return
            stored = (self._back or self._ready).popleft()
            self.unacked[id(stored)] = stored
            consumer.take(stored)

    def _next_consumer(self) -> QueueConsumer | None:
        """The active one, or the next with credit; None: nobody takes anything now."""
        if self._single:
            return self._consumers[0] if self._consumers and self._consumers[0].credit > 0 else None
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.credit > 0:
                return consumer
        return None

    @property
    def ready(self) -> list[Stored]:
        """What waits for a consumer, in the order in which it is delivered."""
        return [*self._back, *self._ready]

    def at_rest(self) -> bool:
        """Whether no delivery is unsettled and no message waits for an existing consumer."""
        return not self.unacked and not ((self._back or self._ready) and self._consumers)

    def content(self) -> list[Stored]:
        """All its messages: unsettled first, then waiting."""
        return [*self.unacked.values(), *self.ready, *self.held]


class StreamLog:
    """Keeps all messages; each consumer reads from its own offset, an ack only returns credit."""

    def __init__(self, declared: Queue) -> None:
        self.declared = declared
        self._first = 0
        self._log: list[Stored] = []
        self._next: dict[QueueConsumer, int] = {}
        self.unacked: dict[int, int] = {}

    @property
    def consumers(self) -> int:
        """How many consumers it has."""
        return len(self._next)

    def attach(self, consumer: QueueConsumer, offset: Start | None) -> None:
        """Add a consumer that reads from `offset`, `NEXT`, `LAST` or a moment; None is the oldest that is kept."""
        end = self._first + len(self._log)
        if offset == NEXT:
            offset = end
        elif offset == LAST:
            offset = max(end - 1, self._first)
        elif isinstance(offset, datetime):
            offset = next((each.offset for each in self._log if each.written >= offset), end)
        self._next[consumer] = self._first if offset is None else offset

    def detach(self, consumer: QueueConsumer) -> None:
        """Remove a consumer."""
        self._next.pop(consumer, None)

    def push(self, stored: Stored) -> None:
        """Append a message and give it its offset."""
        stored.offset = self._first + len(self._log)
        self._log.append(stored)

    def acked(self, stored: Stored) -> None:
        """One consumer has settled it."""
        left = self.unacked.get(id(stored), 0) - 1
        if left > 0:
            self.unacked[id(stored)] = left
        else:
            self.unacked.pop(id(stored), None)

    def returned(self, several: Iterable[Stored]) -> None:
        """A stream does not redeliver: the same as an ack."""
        for stored in several:
            self.acked(stored)

    def retry_held(self) -> None:
        """Nothing to do: a stream dead-letters nothing."""

    def pump(self) -> None:
        """Deliver to every consumer that has credit."""
        for consumer in list(self._next):
            while consumer.credit > 0:
                offset = max(self._next[consumer], self._first)
                if offset >= self._first + len(self._log):
                    break
                self._next[consumer] = offset + 1
                stored = self._log[offset - self._first]
                self.unacked[id(stored)] = self.unacked.get(id(stored), 0) + 1
                consumer.take(stored)

    def truncate(self, first: int) -> None:
        """Drop all messages before offset `first`."""
        cut = min(max(first - self._first, 0), len(self._log))
        del self._log[:cut]
        self._first += cut

    def at_rest(self) -> bool:
        """Whether every consumer was sent everything; an ack is only credit, a reader may keep some of it back."""
        end = self._first + len(self._log)
        return all(offset >= end for offset in self._next.values())

    def content(self) -> list[Stored]:
        """All kept messages."""
        return list(self._log)


AnyQueue = WorkQueue | StreamLog
