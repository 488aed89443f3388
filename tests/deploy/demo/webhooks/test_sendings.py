"""What the demo's senders send: enough of each trouble, and each thing by its own name."""

from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from deploy.demo.plan import plan_of
from deploy.demo.webhooks.bodies import NEW_FIELD
from deploy.demo.webhooks.sendings import FORGERIES, SHOP, Again, Sending, Signed, sendings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZES = ["60", ""]


def sent(orders: str) -> list[Sending]:
    """Everything that a demo of this size sends."""
    return sendings(plan_of(orders), "run", NOW)


@pytest.mark.parametrize("orders", SIZES)
def test_every_trouble_happens(orders: str) -> None:
    """A third comes twice, in both ways, some behind a newer one, each forgery at least once; what is forged, once."""
    every = sent(orders)
    well = [each for each in every if each.signed is Signed.WELL]
    again = Counter(each.again for each in well)
    assert 3 * (again[Again.AT_ONCE] + again[Again.LATER]) >= len(well)
    assert min(again[Again.AT_ONCE], again[Again.LATER]) > 0
    assert sum(each.older for each in well) >= len(well) // 5
    forged = [each for each in every if each.signed is not Signed.WELL]
    assert {(each.sender, each.signed) for each in forged} == {
        (who, how) for who in FORGERIES for how in FORGERIES[who]
    }
    assert {each.again for each in forged} == {Again.NO}


@pytest.mark.parametrize("orders", SIZES)
def test_each_thing_has_a_name_and_a_body_of_its_own(orders: str) -> None:
    """Two with one body would be one to a shop that signs the body alone."""
    every = sent(orders)
    assert len({each.id for each in every}) == len({(each.sender, each.body) for each in every}) == len(every)


@pytest.mark.parametrize("orders", SIZES)
def test_who_is_newest_is_clear(orders: str) -> None:
    """No two editions of a person are as new, none is of a time to come, and `older` says what came before."""
    newest: dict[str, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    moments: dict[str, list[datetime]] = defaultdict(list)
    for each in sent(orders):
        assert each.updated_at <= NOW
        assert each.older == (each.updated_at < newest[each.email])
        newest[each.email] = max(newest[each.email], each.updated_at)
        moments[each.email].append(each.updated_at)
    assert all(len(set(each)) == len(each) for each in moments.values())
    assert max(len(each) for each in moments.values()) == 3


@pytest.mark.parametrize("orders", SIZES)
def test_the_shop_changes_in_the_middle(orders: str) -> None:
    """Its new field is in what it sends later and not in what it sends first; both secrets are used."""
    plan, ours = plan_of(orders), [each for each in sent(orders) if each.sender == SHOP and each.signed is Signed.WELL]
    changed = {each.at >= plan.drift_at for each in ours}
    assert changed == {True, False}
    assert all((NEW_FIELD.encode() in each.body) == (each.at >= plan.drift_at) for each in ours)
    assert {each.at < plan.rotate_at for each in ours} == {True, False}
