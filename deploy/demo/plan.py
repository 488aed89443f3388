"""What is posted, and when which accident happens. Pure; all times in seconds since the first post."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.demo.place import StepFailed

#: Orders of the whole demo, and of the shortest one that still has every accident.
WHOLE, SHORTEST = 400, 60
#: From so many orders on, the demo takes the whole time and judges by the whole measure.
WHOLE_FROM = 300
#: Seconds around an outage and a kill in which no call may time out by itself.
CLEAR_SECONDS = 2.0
#: Seconds after an outage until the breaker is surely closed.
CLOSING_SECONDS = 15.0


class Sort(StrEnum):
    """What becomes of an order."""

    PLAIN = "plain"
    DECLINED = "declined"
    SOLD_OUT = "sold-out"
    SLOW = "slow"  # its card is authorised, the answer comes too late, and it is asked again
    MAIL_REFUSED = "mail-refused"  # its confirmation is not taken until somebody mends that
    CHANGED_MIND = "changed-mind"  # its customer cancels it while it is under way
    RETURNED = "returned"  # it is delivered, and its customer sends it back
    UNREFUNDED = "unrefunded"  # the same, and its refund is refused until somebody mends that


#: Sorts that are delivered for sure, so that their customer can send them back.
SENT_BACK = frozenset({Sort.RETURNED, Sort.UNREFUNDED})


@dataclass(frozen=True, slots=True)
class Plan:
    """One demo."""

    orders: int
    order_gap: float
    leads: int
    lead_gap: float
    each: int  # how many declined, sold out and slow ones there are, of each; half as many cancelled and returned
    mails_refused_at: tuple[int, ...]  # orders; one lead more
    unrefunded: int  # the order whose refund is refused
    crm_at: float
    crm_seconds: float
    limit_at: float
    limit_seconds: float  # after its breaker has opened
    retry_after: int  # seconds for which the mail system wants to be left alone
    cards_at: float
    cards_seconds: float
    carrier_at: float
    carrier_seconds: float
    refund_at: float
    kill_at: float
    doubles_at: tuple[float, ...]
    contacts: int  # people of whom the CRM's form tells by webhook, of each one or two editions
    contact_gap: float
    customers: int  # people of whom the shop tells, of each three editions
    customer_gap: float
    forged: int  # webhooks that must not be taken
    forged_gap: float
    rotate_at: float  # from then on both sign with their new secret
    drift_at: float  # from then on the shop sends a field that nobody was told of
    look_every: int  # of so many customers one looks at the order that was just placed
    delivered_seconds: float  # after the last order, until every parcel must have arrived
    settle_seconds: float
    least: Mapping[str, int]

    def sorts(self) -> list[Sort]:
        """The sort of each order, in order."""
        found = [Sort.PLAIN] * self.orders
        for at in self.mails_refused_at:
            found[at] = Sort.MAIL_REFUSED
        found[self.unrefunded] = Sort.UNREFUNDED

        def put(count: int, sort: Sort, may: list[bool]) -> None:
            free = [at for at in range(5, self.orders) if found[at] is Sort.PLAIN and may[at]]
            for at in _spread(free, count):
                found[at] = sort

        anywhere = [True] * self.orders
        put(self.each, Sort.SLOW, [self._may_be_slow(at * self.order_gap) for at in range(self.orders)])
        put(self.each // 2, Sort.RETURNED, [at * self.order_gap < self.cards_at for at in range(self.orders)])
        put(self.each // 2, Sort.CHANGED_MIND, anywhere)
        put(self.each, Sort.DECLINED, anywhere)
        put(self.each, Sort.SOLD_OUT, anywhere)
        return found

    def _may_be_slow(self, at: float) -> bool:
        """No call times out while the cards are down, the breaker closes, or payments is killed."""
        ill = self.cards_at - CLEAR_SECONDS <= at <= self.cards_at + self.cards_seconds + CLOSING_SECONDS
        return not ill and abs(at - self.kill_at) > CLEAR_SECONDS

    @staticmethod
    def delivered(number: int, sort: Sort) -> bool:
        """Whether the carrier brings this order, once it is shipped, before the demo ends."""
        return sort in SENT_BACK or number % 2 == 0

    def mail_refused_lead(self, number: int) -> bool:
        """Whether the welcome of this lead is not taken until somebody mends that."""
        return number == self.mails_refused_at[0]

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
        order_gap=0.3,
        leads=150,
        lead_gap=0.7,
        each=24,
        mails_refused_at=(6, 16, 26),
        unrefunded=40,
        crm_at=4.0,
        crm_seconds=12.0,
        limit_at=18.0,
        limit_seconds=8.0,
        retry_after=3,
        cards_at=30.0,
        cards_seconds=14.0,
        carrier_at=58.0,
        carrier_seconds=36.0,
        refund_at=64.0,
        kill_at=106.0,
        doubles_at=(12.0, 54.0),
        contacts=45,
        contact_gap=2.0,
        customers=30,
        customer_gap=3.0,
        forged=24,
        forged_gap=3.5,
        rotate_at=40.0,
        drift_at=50.0,
        look_every=10,
        delivered_seconds=60.0,
        settle_seconds=90.0,
        least={},
    )


def short(orders: int) -> Plan:  # long: one value a line
    """Every accident once, in a fraction of the time; judged by a smaller measure."""
    leads = orders // 3
    each = orders // 15
    return Plan(
        orders=orders,
        order_gap=25.0 / orders,
        leads=leads,
        lead_gap=22.0 / leads,
        each=each,
        mails_refused_at=(10, 12, 14),  # after crm is back
        unrefunded=8,
        crm_at=0.5,
        crm_seconds=3.0,
        limit_at=21.0,
        limit_seconds=2.0,
        retry_after=1,
        cards_at=6.0,
        cards_seconds=5.0,
        carrier_at=19.0,
        carrier_seconds=33.0,
        refund_at=23.0,
        kill_at=17.0,
        doubles_at=(5.0,),
        contacts=12,
        contact_gap=1.5,
        customers=9,
        customer_gap=2.0,
        forged=8,
        forged_gap=2.0,
        rotate_at=9.0,
        drift_at=12.0,
        look_every=5,
        delivered_seconds=45.0,
        settle_seconds=75.0,
        least={
            "orders": orders,
            "delivered": each,
            "declined": each,
            "out_of_stock": each,
            "timed_out": 1,
            "customers_cancelled": each,
            "voids": 1,
            "refunds": 1,
            "releases": 1,
            "recalls": 1,
            "authorisation_requests_repeated": each,
            "dead_letters": 5,
            "leads": leads + 12,
            "webhooks": 40,
            "webhooks_doubled": 10,
            "webhooks_reordered": 5,
            "webhooks_refused": 8,
        },
    )


def plan_of(word: str) -> Plan:
    """The plan that `DEMO_ORDERS` asks for; "" the whole one."""
    if not word:
        return whole()
    if not word.isdecimal() or not SHORTEST <= int(word) <= 5_000:
        raise StepFailed(f"DEMO_ORDERS={word}: say a number from {SHORTEST} to 5000, or leave it for {WHOLE}.")
    return whole(int(word)) if int(word) >= WHOLE_FROM else short(int(word))
