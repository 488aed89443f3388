"""What the chaos believes of the shop is what the shop declares."""

import pytest

from hocket.cli.targets import load
from services.sandbox.domain import Target
from tests.chaos.play.hands import kept, queues
from tests.chaos.shop import BREAKERS, HEARS_NOTHING, TARGETS, TEAMS


@pytest.mark.parametrize("service", TEAMS)
def test_each_breaker_is_declared(service: str) -> None:
    """By name, and none is left out."""
    declared = load(f"services.{service}").declarations
    names = {each.breaker.name for each in declared.subscriptions.values() if each.breaker is not None}
    assert names == set(BREAKERS[service])


def test_each_system_of_the_outside_has_its_faults() -> None:
    """None is spared."""
    assert set(TARGETS) == set(Target)


@pytest.mark.parametrize("service", TEAMS)
def test_each_queue_is_known(service: str) -> None:
    """Deliveries are moved in all of a service's queues."""
    assert all(queue.startswith(f"{service}.") for queue in queues(service))
    assert bool(queues(service)) == (service not in HEARS_NOTHING)


def test_the_brokers_own_headers_are_not_sent_again() -> None:
    """What the broker wrote would be taken for what the kit wrote."""
    sent = {"hocket-attempt": 2, "x-delivery-count": 3, "x-death": [{}], "traceparent": "00-1"}
    assert kept(sent) == {"hocket-attempt": 2, "traceparent": "00-1"}
