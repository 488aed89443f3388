"""Puts in order what a new channel brings back, before anything of it begins (RULES 9.2). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hocket.broker.port import Delivery
from hocket.declarations.ordering.option import WINDOW

#: Seconds of silence after which everything that came back is taken to be here.
SILENCE_SECONDS = 1.0
#: Where brokers count how often a message was handed over before: RabbitMQ 4 has both, and the first counts all.
COUNTS = ("x-acquired-count", "x-delivery-count")


def times_returned(headers: Mapping[str, object]) -> int:
    """How often a delivery came back to its queue; 0: never, or nobody knows."""
    for name in COUNTS:
        count = headers.get(name)
        if isinstance(count, int) and not isinstance(count, bool):
            return max(count, 0)
    return 0


def in_order(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """What came back most often first, ties as they came: returned messages stand behind what returned before them."""
    return sorted(deliveries, key=lambda each: -times_returned(each.headers))


@dataclass(slots=True)
class Gather:
    """What a new channel has delivered so far."""

    window: int = WINDOW
    held: list[Delivery] = field(default_factory=list)

    def add(self, delivery: Delivery) -> bool:
        """Keep it; whether all that came back is here now, since what never did is delivered behind it."""
        self.held.append(delivery)
        return times_returned(delivery.headers) == 0 or len(self.held) >= self.window
