"""The events of the log that wait to be looked for in the inbox; what arrives by its queue meanwhile is not read."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hocket.broker.port import Delivery
from hocket.delivery.arrival import Arrival
from hocket.delivery.runner import SubscriptionRunner
from hocket.outcome import GiveBack


@dataclass(slots=True, eq=False)
class WaitingEvent:
    """One event of the log that a handler hears."""

    delivery: Delivery
    runner: SubscriptionRunner
    offset: int
    since: float  # when it is looked for again, less the grace
    sent_at: float  # when it was said, or sent to its queue by this check
    sent: int = 0  # how often it was sent to its queue
    arrived: bool = False  # by its queue, and its ending is written
    _read: Arrival | None = None

    @property
    def arrival(self) -> Arrival:
        """The event as it was read."""
        assert self._read is not None, "an event is read before it is looked for"
        return self._read

    def read(self, now: datetime) -> bool:
        """Read it; False where it cannot be read, so that its queue would only bury it."""
        if self._read is None:
            self._read = self.runner.arrival_of(self.delivery, now)
        return self._read.outcome is None


class WaitingEvents:
    """All that wait, the one that is due first in front."""

    def __init__(self) -> None:
        self._events: list[WaitingEvent] = []
        self._by_message: dict[tuple[str, str], WaitingEvent] = {}  # queue and message id
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[WaitingEvent]:
        return iter(self._events)

    def first(self, many: int) -> Sequence[WaitingEvent]:
        """Those that are due first."""
        return self._events[:many]

    def add(self, event: WaitingEvent) -> None:
        """It waits from now on, behind the others."""
        self._events.append(event)
        self.bytes += len(event.delivery.body)
        if event.delivery.message_id:
            self._by_message[event.runner.subscription.queue, event.delivery.message_id] = event

    def settled(self, arrivals: Iterable[Arrival]) -> None:
        """The endings of these are written: the same message need not be looked for."""
        if not self._by_message:
            return
        for each in arrivals:
            found = self._by_message.get((each.subscription.queue, each.delivery.message_id))
            if found is None or isinstance(each.outcome, GiveBack):
                continue
            if found.delivery.body == each.delivery.body:  # a foreign publisher may use an id twice
                found.arrived = True

    def remove(self, over: Collection[WaitingEvent]) -> None:
        """These wait no longer; the others are put in order."""
        for each in over:
            self.bytes -= len(each.delivery.body)
            key = each.runner.subscription.queue, each.delivery.message_id
            if self._by_message.get(key) is each:
                del self._by_message[key]
        self._events = sorted((each for each in self._events if each not in over), key=lambda each: each.since)

    def clear(self) -> None:
        """Nothing waits."""
        self._events.clear()
        self._by_message.clear()
        self.bytes = 0
