"""Longer histories than the graph can visit, by chance, through real processes (RULES 3.1, 5.1 to 5.8)."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.graph.bugs import planted
from tests.graph.running_shop import STEP_OF, STEPS, OrderPlan, Plan, Shop, run
from tests.graph.sagas.outside import DECLINED, ERROR, LIED, OK

#: Histories of one run of the suite; `HISTORIES=` in the environment asks for more.
HISTORIES = int(os.environ.get("HISTORIES", "8"))
#: An order that is cancelled while its card is asked: everything after it meets a tombstone.
EARLY = OrderPlan(0.0, (OK,) * 4, (3.0,) * 4, 0.0, False, (False,) * 4)
UNDO_OF = {step: undo for undo, step in STEP_OF.items()}

answers = st.sampled_from([OK, OK, OK, OK, DECLINED, ERROR, LIED])
seconds = st.sampled_from([0.0, 0.5, 3.0, 12.0, 40.0])  # the last one is longer than the time-out
each_step = st.tuples(*[answers] * len(STEPS))
orders = st.builds(
    OrderPlan,
    at=seconds,
    answers=each_step,
    takes=st.tuples(*[seconds] * len(STEPS)),
    cancelled_at=st.none() | st.sampled_from([0.0, 1.0, 4.0, 20.0, 45.0, 300.0]),
    doubled=st.booleans(),
    undo_dies=st.tuples(*[st.sampled_from([False, False, False, True])] * len(STEPS)),
)
plans = st.builds(
    Plan,
    orders=st.lists(orders, min_size=1, max_size=4).map(tuple),
    kills=st.lists(st.tuples(st.floats(0.1, 60.0), st.integers(0, 3)), max_size=4).map(tuple),
    replayed=st.booleans(),
)


@given(plans)
@settings(
    max_examples=HISTORIES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
def test_no_history_leaves_what_must_not_stand(plan: Plan) -> None:
    """RULES 5.3, 5.4, 5.8: killed, cancelled, late, declined, unsure: books, ledger, events and letters fit."""
    _judge(plan)


def test_it_sees_what_stands() -> None:
    """With a bug in the product the same checks fail: without tombstones an early cancellation is lost."""
    _judge(Plan((EARLY,), (), False))
    with planted("tombstone off"), pytest.raises(AssertionError, match="reserve did stands"):
        _judge(Plan((EARLY,), (), False))


def _judge(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = run(plan, Path(folder))
    for number in range(len(plan.orders)):
        _check(shop, str(number), replayed=plan.replayed)


def _check(shop: Shop, order: str, *, replayed: bool) -> None:
    cancelled = bool(shop.said["order.cancelled", order])
    for step in STEPS:
        acts = [state for of, about, state in shop.books.acts.values() if (of, about) == (step, order)]
        assert sum(state != DECLINED for state in acts) <= 1, f"{step} acted under two keys"
        states = [state for of, about, state in shop.ledger if (of, about) == (step, order)]
        assert len(states) <= 1
        died = any(key.startswith("undo ") and key.endswith(f".{UNDO_OF[step]} {order}") for key in shop.dead)
        zombie = states == ["undoing"]
        assert zombie == (died and not replayed), "a zombie is where an undo is dead, and nowhere else"
        assert "begun" not in states, f"{step} never ended"
        if cancelled:
            assert "stands" not in acts or zombie, f"what {step} did stands, and nobody sees it"
            assert not {"done", "unsure"} & set(states), f"{step} was not undone"
        else:
            assert "back" not in acts, f"{step} was undone without a failure"
    for type_ in ("payment.authorised", "stock.reserved", "parcel.shipped", "payment.captured"):
        assert shop.said[type_, order] <= 1, f"{type_} was said twice"
    letters = any(key.endswith(f" {order}") for key in shop.dead)
    ended = shop.said["parcel.shipped", order] and shop.said["payment.captured", order]
    assert cancelled or ended or letters, "the order has no end"
