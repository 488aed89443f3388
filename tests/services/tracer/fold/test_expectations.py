"""Who is expected to hear what, by the manifests."""

from datetime import timedelta

from hocket.console.facts import Manifest
from services.tracer.fold.expectations import expectations
from tests.services.tracer.sample_facts import MANIFESTS, START, manifest, subscription


def test_a_subscription_is_expected_from_its_first_manifest_on() -> None:
    """RULES 7.6: the first manifest counts, a later one that leaves it out retires nobody."""
    first = Manifest.model_validate(manifest("a", "t", subscription("a.b", ["x.said"])))
    empty = Manifest.model_validate(manifest("a", "t"))
    later = START + timedelta(days=1)
    for order in ([(first, START), (empty, later)], [(empty, later), (first, later), (first, START)]):
        [expected] = expectations(order)["x.said", 1]
        assert (expected.subscription, expected.since, expected.undo_of) == ("a.b", START, "")


def test_an_undo_is_expected_to_hear_its_failures_only() -> None:
    """The step's input is no event that its undo is bound to."""
    undo = Manifest.model_validate(MANIFESTS[1])
    found = expectations([(undo, START)])
    assert [each.subscription for each in found["order.placed", 1]] == ["payments.charge"]
    assert [each.undo_of for each in found["stock.rejected", 1]] == ["payments.charge"]
