"""The plan of a crash run comes whole from its seed."""

from itertools import islice

import pytest

from tests.crash.plan import SERVICES, Trouble, Way, disturbances, lives, points, sales


@pytest.mark.parametrize("service", SERVICES)
def test_a_seed_repeats_a_plan(service: str) -> None:
    """The same seed gives the same lives, troubles and sales, another seed others."""
    for plan in (lambda seed: lives(seed, service), lambda seed: disturbances(seed, database=True), sales):
        assert list(islice(plan(7), 100)) == list(islice(plan(7), 100))
        assert list(islice(plan(7), 100)) != list(islice(plan(8), 100))


@pytest.mark.parametrize("service", SERVICES)
def test_every_boundary_is_planned(service: str) -> None:
    """A third of 200 kills holds each boundary of a service, a random end and a pause."""
    planned = list(islice(lives(3, service), 66))
    assert {life.point for life in planned if life.way is Way.POINT} == set(points(service))
    assert {life.way for life in planned} == set(Way)


def test_every_trouble_comes_first() -> None:
    """Each trouble comes once before any comes again, and a database only where there is a server."""
    assert {each.trouble for each in islice(disturbances(5, database=True), len(Trouble))} == set(Trouble)
    assert all(each.trouble is not Trouble.DATABASE_STOPPED for each in islice(disturbances(5, database=False), 200))
