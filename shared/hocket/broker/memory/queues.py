"""What keeps messages: work queues as quorum queues do, and streams."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from hocket.broker.topology import Queue


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


class Taker(Protocol):
    """A consumer as a queue sees it."""

    @property
    def credit(self) -> int:
        """How many more it takes now."""
        ...

    def take(self, stored: Stored) -> None:
        """Hand over one message."""
        ...


class WorkQueue:
    """First in, first out; competing consumers; what comes back stands in front, up to the delivery limit."""

    def __init__(self, declared: Queue, bury: Callable[["WorkQueue", Stored], bool]) -> None:
        self.declared = declared
        self._bury = bury
        self._limit = declared.arguments.get("x-delivery-limit")
        self._takers: deque[Taker] = deque()
        self.ready: deque[Stored] = deque()
        #: Dead-lettered at-least-once, but nobody takes them: kept here until the topology changes.
        self.held: list[Stored] = []
        self.unacked: dict[int, Stored] = {}

    def attach(self, taker: Taker, offset: int | None) -> None:
        """Let a consumer compete; `offset` is for streams."""
        del offset
        self._takers.append(taker)

    def detach(self, taker: Taker) -> None:
        """Hand nothing more to this consumer."""
        if taker in self._takers:
            self._takers.remove(taker)

    def push(self, stored: Stored) -> None:
        """Take a message at the end."""
        self.ready.append(stored)

    def acked(self, stored: Stored) -> None:
        """A delivered message is settled."""
        self.unacked.pop(id(stored), None)

    def returned(self, several: Iterable[Stored]) -> None:
        """Delivered messages come back to the front, in their order; beyond the limit they are dead-lettered."""
        back: list[Stored] = []
        for stored in several:
            self.unacked.pop(id(stored), None)
            stored.returns += 1
            if isinstance(self._limit, int) and stored.returns > self._limit:
                if not self._bury(self, stored):
                    self.held.append(stored)
                continue
            stored.headers = {**stored.headers, "x-delivery-count": stored.returns}
            back.append(stored)
        self.ready.extendleft(reversed(back))

    def retry_held(self) -> None:
        """Try again to dead-letter what nobody took."""
        self.held = [stored for stored in self.held if not self._bury(self, stored)]

    def pump(self) -> None:
        """Hand over while somebody has credit."""
        while self.ready:
            for _ in range(len(self._takers)):
                taker = self._takers[0]
                self._takers.rotate(-1)
                if taker.credit > 0:
                    break
            else:
                return
            stored = self.ready.popleft()
            self.unacked[id(stored)] = stored
            taker.take(stored)

    def at_rest(self) -> bool:
        """Whether nothing is in work and nothing waits that has a consumer."""
        return not self.unacked and not (self.ready and self._takers)

    def content(self) -> list[Stored]:
        """What is in it: in work first, then what waits."""
        return [*self.unacked.values(), *self.ready, *self.held]


class StreamLog:
    """Keeps everything; each consumer reads on its own from an offset, an ack is credit only."""

    def __init__(self, declared: Queue) -> None:
        self.declared = declared
        self._first = 0
        self._log: list[Stored] = []
        self._next: dict[Taker, int] = {}
        self.unacked: dict[int, int] = {}

    def attach(self, taker: Taker, offset: int | None) -> None:
        """Let a consumer read from `offset`, None the first kept."""
        self._next[taker] = self._first if offset is None else offset

    def detach(self, taker: Taker) -> None:
        """Hand nothing more to this consumer."""
        self._next.pop(taker, None)

    def push(self, stored: Stored) -> None:
        """Append; the offset is given here."""
        stored.offset = self._first + len(self._log)
        self._log.append(stored)

    def acked(self, stored: Stored) -> None:
        """A reader has done with it."""
        left = self.unacked.get(id(stored), 0) - 1
        if left > 0:
            self.unacked[id(stored)] = left
        else:
            self.unacked.pop(id(stored), None)

    def returned(self, several: Iterable[Stored]) -> None:
        """A stream takes nothing back."""
        for stored in several:
            self.acked(stored)

    def retry_held(self) -> None:
        """A stream dead-letters nothing."""

    def pump(self) -> None:
        """Hand over to every reader that has credit."""
        for taker in list(self._next):
            while taker.credit > 0:
                offset = max(self._next[taker], self._first)
                if offset >= self._first + len(self._log):
                    break
                self._next[taker] = offset + 1
                stored = self._log[offset - self._first]
                self.unacked[id(stored)] = self.unacked.get(id(stored), 0) + 1
                taker.take(stored)

    def truncate(self, first: int) -> None:
        """Forget everything before offset `first`."""
        cut = min(max(first - self._first, 0), len(self._log))
        del self._log[:cut]
        self._first += cut

    def at_rest(self) -> bool:
        """Whether every reader has read and settled to the end."""
        end = self._first + len(self._log)
        return not self.unacked and all(offset >= end for offset in self._next.values())

    def content(self) -> list[Stored]:
        """What is kept."""
        return list(self._log)


AnyQueue = WorkQueue | StreamLog
