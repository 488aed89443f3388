"""The plan of a chaos run comes whole from its seed, and holds everything that is promised of it."""

from itertools import islice, pairwise

import pytest

from services.sandbox.faults import Kind, NewFault
from tests.chaos.customers_plan import RETURNED, Sort, orders
from tests.chaos.plan import FAULT_SECONDS, MODES, POINTS, Do, plan_of
from tests.chaos.shop import BREAKERS, OBSERVERS, TARGETS, TEAMS
from tests.crash.plan import JUMPS

#: A whole run, and the lease that a long pause outlasts.
SECONDS, LEASE_SECONDS = 300.0, 15.0
SEEDS = range(5)


def test_a_seed_repeats_a_plan() -> None:
    """The same seed gives the same acts and orders, another seed others."""
    for plan in (
        lambda seed: plan_of(seed, SECONDS, 2, clocks=True).acts(),
        lambda seed: list(islice(orders(seed), 200)),
    ):
        assert plan(7) == plan(7)
        assert plan(7) != plan(8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seconds", [30.0, 60.0, SECONDS])
def test_every_system_misbehaves_in_every_way(seed: int, seconds: float) -> None:
    """Also in a short run; in a whole one no two faults of one system stand at once."""
    faults = [act for act in plan_of(seed, seconds, 1, clocks=True).acts() if act.do is Do.FAULT]
    assert {(act.who, act.what) for act in faults} == {(target, kind) for target in TARGETS for kind in MODES}
    assert all(act.at + act.seconds <= seconds for act in faults)
    if seconds == SECONDS:
        assert all(one.at + one.seconds < two.at for one, two in pairwise(faults))
        assert all(act.seconds > FAULT_SECONDS / 2 for act in faults)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_is_done_in_a_whole_run(seed: int) -> None:
    """Each kind of act comes, one pause outlasts the lease, clocks step every way, and all in time."""
    acts = plan_of(seed, SECONDS, 1, clocks=True).acts()
    assert {act.do for act in acts} == set(Do)
    assert all(0.0 <= act.at < SECONDS for act in acts)
    assert all(act.seconds > LEASE_SECONDS for act in acts if act.do is Do.LONG_PAUSE)
    assert {act.what for act in acts if act.do is Do.CLOCK} == set(JUMPS)


def test_nobody_is_spared() -> None:
    """Over some seeds each service and replica is ended and paused, each boundary and each breaker is met."""
    acts = [act for seed in range(30) for act in plan_of(seed, SECONDS, 2, clocks=True).acts()]
    everybody = {(service, replica) for service in TEAMS for replica in (1, 2)}
    observers = {(service, 1) for service in OBSERVERS}
    for kinds in ({Do.KILL, Do.FUSE}, {Do.PAUSE, Do.LONG_PAUSE}):
        assert {(act.who, act.replica) for act in acts if act.do in kinds} == everybody | observers
    assert {(act.who, act.replica) for act in acts if act.do is Do.CLOCK} == everybody
    assert {act.what for act in acts if act.do is Do.FUSE} == set(POINTS)
    breakers = {(service, name) for service, names in BREAKERS.items() for name in names}
    assert {(act.who, act.what) for act in acts if act.do is Do.HOLD} == breakers


@pytest.mark.parametrize("seed", SEEDS)
def test_the_acts_of_a_lane_do_not_overlap(seed: int) -> None:
    """Processes, breakers, clocks: the next one begins when the last one is over."""
    for lane in plan_of(seed, SECONDS, 2, clocks=True).lanes:
        assert all(one.at + one.seconds <= two.at for one, two in pairwise(lane))


def test_without_libfaketime_no_clock_steps() -> None:
    """And the other lanes stay what they are."""
    with_clocks, without = (plan_of(3, SECONDS, 1, clocks=clocks) for clocks in (True, False))
    assert [act for act in with_clocks.acts() if act.do is not Do.CLOCK] == without.acts()


def test_the_sandbox_takes_every_mode() -> None:
    """Each is a kind of fault, with fields that it knows."""
    for target in TARGETS:
        for kind, more in MODES.items():
            assert NewFault.model_validate({"target": target, "kind": kind, "seconds": 1, **more}).kind is Kind(kind)


def test_customers_do_everything() -> None:
    """Every sort of order is placed; some are placed twice, cancelled at once or late, delivered, sent back."""
    some = list(islice(orders(1), 400))
    assert {each.sort for each in some} == set(Sort)
    assert [each.number for each in some] == list(range(400))
    assert any(each.twice for each in some)
    waits = [each.cancel_after for each in some if each.cancel_after is not None]
    assert min(waits) < 0.2
    assert max(waits) > 10.0
    returned = [each for each in some if each.returned]
    assert 0 < len(returned) < RETURNED * len(some)
    assert all(each.delivered and each.cancel_after is None for each in returned)
