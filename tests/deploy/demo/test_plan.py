"""What is posted and when: enough of each accident, and none where it would hide another."""

from collections import Counter

import pytest

from deploy.demo.place import StepFailed
from deploy.demo.plan import WHOLE, Sort, plan_of

LEAST = 20


def test_the_whole_demo_has_everything() -> None:
    """At least 300 orders, 20 of each sort of trouble, 100 leads, 3 mails that die, a third posted twice."""
    plan = plan_of("")
    counted = Counter(plan.sorts())
    assert sum(counted.values()) == plan.orders == WHOLE >= 300
    assert min(counted[Sort.DECLINED], counted[Sort.SOLD_OUT], counted[Sort.SLOW]) >= LEAST
    assert counted[Sort.MAIL_DOWN] >= 3
    assert plan.leads >= 100
    assert 3 * sum(map(plan.twice, range(plan.leads))) >= plan.leads
    assert plan.cards_seconds >= 30.0
    assert plan.least == {}


@pytest.mark.parametrize("orders", ["60", "80", "150", "299", "320", "1000"])
def test_slow_charges_stay_clear_of_the_outage(orders: str) -> None:
    """No charge that times out is asked while the cards are down or payments is killed; each sort has its number."""
    plan = plan_of(orders)
    counted = Counter(plan.sorts())
    for sort in (Sort.DECLINED, Sort.SOLD_OUT, Sort.SLOW):
        assert counted[sort] == plan.each
    for number, sort in enumerate(plan.sorts()):
        at = number * plan.order_gap
        assert sort is not Sort.SLOW or not plan.cards_at - 2.0 <= at <= plan.kill_at + 2.0


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
