"""The plan of a crash run comes whole from its seed."""

from itertools import islice

import pytest

from tests.crash.plan import JUMPS, SERVICES, Trouble, Way, disturbances, lives, points, sales


@pytest.mark.parametrize("service", SERVICES)
def test_a_seed_repeats_a_plan(service: str) -> None:
    """The same seed gives the same lives, troubles and sales, another seed others."""
    for plan in (lambda seed: lives(seed, service), lambda seed: disturbances(seed, database=True, clocks=True), sales):
        assert list(islice(plan(7), 100)) == list(islice(plan(7), 100))
        assert list(islice(plan(7), 100)) != list(islice(plan(8), 100))


@pytest.mark.parametrize("service", SERVICES)
def test_every_boundary_is_planned(service: str) -> None:
    """A third of 200 kills holds each boundary of a service, a random end and a pause."""
    planned = list(islice(lives(3, service), 66))
    assert {life.point for life in planned if life.way is Way.POINT} == set(points(service))
    assert {life.way for life in planned} == set(Way)


def test_every_trouble_comes_first() -> None:
    """Each trouble comes once before any comes again, and a database or a clock only where there is one."""
    assert {each.trouble for each in islice(disturbances(5, database=True, clocks=True), len(Trouble))} == set(Trouble)
    bare = {each.trouble for each in islice(disturbances(5, database=False, clocks=False), 200)}
    assert bare == set(Trouble) - {Trouble.DATABASE_STOPPED, Trouble.CLOCK_JUMPED}


def test_clocks_jump_every_way() -> None:
    """Each jump is drawn, and nothing but a clock jumps."""
    drawn = list(islice(disturbances(5, database=True, clocks=True), 400))
    assert {each.jump for each in drawn if each.trouble is Trouble.CLOCK_JUMPED} == set(JUMPS)
    assert {each.jump for each in drawn if each.trouble is not Trouble.CLOCK_JUMPED} == {""}
