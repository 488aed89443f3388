"""What is posted and when: enough of each accident, and none where it would hide another."""

from collections import Counter

import pytest

from deploy.demo.place import StepFailed
from deploy.demo.plan import WHOLE, Sort, plan_of
from services.orders.handlers import SHIPPED_WITHIN

LEAST = 20
SIZES = ["60", "80", "150", "299", "400", "1000"]


def test_the_whole_demo_has_everything() -> None:
    """At least 300 orders, enough of each sort of trouble, 100 leads, 3 mails that die, a third posted twice."""
    plan = plan_of("")
    counted = Counter(plan.sorts())
    assert sum(counted.values()) == plan.orders == WHOLE >= 300
    assert min(counted[Sort.DECLINED], counted[Sort.SOLD_OUT], counted[Sort.SLOW]) >= LEAST
    assert counted[Sort.CHANGED_MIND] + counted[Sort.RETURNED] >= LEAST
    assert (counted[Sort.MAIL_REFUSED], counted[Sort.UNREFUNDED]) == (3, 1)
    assert plan.leads >= 100
    assert 3 * sum(map(plan.twice, range(plan.leads))) >= plan.leads
    assert plan.least == {}


@pytest.mark.parametrize("orders", SIZES)
def test_slow_calls_stay_clear_of_the_outage(orders: str) -> None:
    """No call times out while the cards are down or payments is killed; each sort has its number."""
    plan = plan_of(orders)
    counted = Counter(plan.sorts())
    for sort in (Sort.DECLINED, Sort.SOLD_OUT, Sort.SLOW):
        assert counted[sort] == plan.each
    for sort in (Sort.CHANGED_MIND, Sort.RETURNED):
        assert counted[sort] == plan.each // 2 > 0
    for number, sort in enumerate(plan.sorts()):
        at = number * plan.order_gap
        ill = plan.cards_at - 2.0 <= at <= plan.cards_at + plan.cards_seconds + 2.0
        assert sort is not Sort.SLOW or not (ill or abs(at - plan.kill_at) <= 2.0)


@pytest.mark.parametrize("orders", SIZES)
def test_what_is_sent_back_is_there_before(orders: str) -> None:
    """An order that is to be returned is placed before the cards are down, and the carrier brings it."""
    plan = plan_of(orders)
    for number, sort in enumerate(plan.sorts()):
        if sort in {Sort.RETURNED, Sort.UNREFUNDED}:
            assert number * plan.order_gap < plan.cards_at
            assert plan.delivered(number, sort)


@pytest.mark.parametrize("orders", SIZES)
def test_the_carrier_is_down_for_longer_than_an_order_may_take(orders: str) -> None:
    """Its outage begins when the cards are well, and outlasts the time-out of the first order that meets it."""
    plan = plan_of(orders)
    assert plan.cards_at + plan.cards_seconds < plan.carrier_at < plan.orders * plan.order_gap
    assert plan.carrier_seconds > SHIPPED_WITHIN.total_seconds()


def test_every_accident_comes_while_orders_are_posted() -> None:
    """Cards are mended before payments is killed, and orders still come when it is."""
    for orders in ("60", ""):
        plan = plan_of(orders)
        assert plan.crm_at + plan.crm_seconds < plan.kill_at
        assert plan.cards_at + plan.cards_seconds < plan.kill_at < plan.orders * plan.order_gap
        assert max(plan.doubles_at) < plan.kill_at


@pytest.mark.parametrize("word", ["0", "59", "many", "-60", "9999999"])
def test_other_numbers_are_refused(word: str) -> None:
    """The sentence names the setting and what may be said."""
    with pytest.raises(StepFailed, match=f"DEMO_ORDERS={word}: say a number"):
        plan_of(word)
