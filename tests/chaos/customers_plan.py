"""What customers do: which orders and leads they post, and which orders they cancel when. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from deploy.demo import bodies

#: Parts of the orders whose card is declined, whose goods are sold out, whose goods no carrier takes.
DECLINED, SOLD_OUT, REFUSED = 0.06, 0.06, 0.06
#: Parts of the orders that are posted twice under one key, cancelled, and delivered once they are shipped.
TWICE, CANCELLED, DELIVERED = 0.2, 0.2, 0.6
#: Seconds from the answer to the cancellation: most while the order is under way.
SOONEST_CANCEL, LATEST_CANCEL = 0.05, 25.0
#: Part of the delivered orders that come back.
RETURNED = 0.3


class Sort(StrEnum):
    """What the outside world makes of an order."""

    PLAIN = "plain"
    DECLINED = "declined"
    SOLD_OUT = "sold-out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, and what its customer does about it."""

    number: int
    sort: Sort
    twice: bool
    cancel_after: float | None  # seconds after the answer
    delivered: bool  # the carrier tells so once it is shipped
    returned: bool  # cancelled after it was delivered

    def body(self) -> dict[str, object]:
        """What is posted."""
        sku = {Sort.SOLD_OUT: bodies.SOLD_OUT_SKU, Sort.REFUSED: bodies.REFUSED_SKU}.get(self.sort, bodies.SKU)
        card = bodies.DECLINED_CARD if self.sort is Sort.DECLINED else bodies.CARD
        return bodies.order(self.number, card=card, sku=sku)


def orders(seed: int) -> Iterator[Order]:
    """The orders, without end."""
    chance = random.Random(f"{seed} orders")
    sorts = (Sort.DECLINED, Sort.SOLD_OUT, Sort.REFUSED, Sort.PLAIN)
    weights = (DECLINED, SOLD_OUT, REFUSED, 1.0 - DECLINED - SOLD_OUT - REFUSED)
    number = 0
    while True:
        [sort] = chance.choices(sorts, weights)
        cancel = SOONEST_CANCEL * (LATEST_CANCEL / SOONEST_CANCEL) ** chance.random()
        twice, cancelled = chance.random() < TWICE, chance.random() < CANCELLED
        delivered, returned = chance.random() < DELIVERED, chance.random() < RETURNED
        yield Order(
            number, sort, twice, cancel if cancelled else None, delivered, delivered and returned and not cancelled
        )
        number += 1
