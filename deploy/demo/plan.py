"""What is posted, and when which accident happens. Pure; all times in seconds since the first post."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.demo.place import StepFailed

#: Orders of the whole demo, and of the shortest one that still has every accident.
WHOLE, SHORTEST = 320, 60
#: From so many orders on, the demo takes the whole time and judges by the whole measure.
WHOLE_FROM = 300


class Sort(StrEnum):
    """What becomes of an order."""

    PLAIN = "plain"
    DECLINED = "declined"
    SOLD_OUT = "sold-out"
    SLOW = "slow"  # its charge is done, its answer comes too late, and it is asked again
    MAIL_DOWN = "mail-down"  # its confirmation is not taken until somebody mends that


@dataclass(frozen=True, slots=True)
class Plan:
    """One demo."""

    orders: int
    order_gap: float
    leads: int
    lead_gap: float
    each: int  # how many declined, sold out and slow ones there are, of each
    crm_at: float
    crm_seconds: float
    cards_at: float
    cards_seconds: float
    kill_at: float
    doubles_at: tuple[float, ...]
    settle_seconds: float
    least: Mapping[str, int]
    mails_down: int = 3  # customers; one lead more

    def sorts(self) -> list[Sort]:
        """The sort of each order, in order. Slow ones stay clear of the time in which the cards are down."""
        found = [Sort.PLAIN] * self.orders
        for at in range(1, 1 + self.mails_down):
            found[at] = Sort.MAIL_DOWN
        down_from = (self.cards_at - 2.0) / self.order_gap
        down_to = (self.kill_at + 2.0) / self.order_gap
        clear = [at for at in range(5, self.orders) if not down_from <= at <= down_to]
        for at in _spread(clear, self.each):
            found[at] = Sort.SLOW
        free = [at for at in range(5, self.orders) if found[at] is Sort.PLAIN]
        for number, at in enumerate(_spread(free, 2 * self.each)):
            found[at] = Sort.DECLINED if number % 2 else Sort.SOLD_OUT
        return found

    def mail_down_lead(self, number: int) -> bool:
        """Whether the welcome of this lead is not taken until somebody mends that."""
        return number == 1

    @staticmethod
    def twice(number: int) -> bool:
        """Whether this order or lead is posted twice under its key."""
        return number % 3 == 0


def _spread(among: list[int], count: int) -> list[int]:
    """`count` of these, evenly."""
    step = len(among) / count
    return [among[int(each * step)] for each in range(count)]


def whole(orders: int = WHOLE) -> Plan:
    """The demo as it is meant."""
    return Plan(
        orders=orders,
        order_gap=0.25,
        leads=120,
        lead_gap=0.6,
        each=24,
        crm_at=5.0,
        crm_seconds=15.0,
        cards_at=24.0,
        cards_seconds=30.0,
        kill_at=66.0,
        doubles_at=(15.0, 62.0),
        settle_seconds=90.0,
        least={},
    )


def short(orders: int) -> Plan:
    """Every accident once, in a fraction of the time; judged by a smaller measure."""
    leads = orders // 3
    each = orders // 15
    return Plan(
        orders=orders,
        order_gap=25.0 / orders,
        leads=leads,
        lead_gap=22.0 / leads,
        each=each,
        crm_at=0.5,
        crm_seconds=3.0,
        cards_at=6.0,
        cards_seconds=8.0,
        kill_at=19.5,
        doubles_at=(5.0,),
        settle_seconds=15.0,
        least={
            "orders": orders,
            "declined": each,
            "out_of_stock": each,
            "charge_requests_repeated": each,
            "dead_letters": 4,
            "leads": leads,
        },
    )


def plan_of(word: str) -> Plan:
    """The plan that `DEMO_ORDERS` asks for; "" the whole one."""
    if not word:
        return whole()
    if not word.isdecimal() or not SHORTEST <= int(word) <= 5_000:
        raise StepFailed(f"DEMO_ORDERS={word}: say a number from {SHORTEST} to 5000, or leave it for {WHOLE}.")
    return whole(int(word)) if int(word) >= WHOLE_FROM else short(int(word))
