"""The plan of a crash run of webhooks comes whole from its seed, and has what makes it hard."""

import random
from collections import Counter
from itertools import islice

from deploy.demo.webhooks.signing import Secrets
from tests.crash.plan import Way
from tests.crash.webhooks.plan import (
    BODY_SIGNED,
    INGRESS,
    POINTS,
    SENDERS,
    SUBSCRIBERS,
    Copy,
    Due,
    Signed,
    Trouble,
    When,
    deliveries,
    disturbances,
    lives,
)
from tests.crash.webhooks.signing import request_of

EVENTS = 4000


def test_a_seed_repeats_a_plan() -> None:
    """The same seed gives the same deliveries, lives and troubles, another seed others."""
    assert deliveries(7, 100) == deliveries(7, 100) != deliveries(8, 100)
    for plan in (lambda seed: lives(seed, INGRESS, 0), lambda seed: disturbances(seed, database=True)):
        assert list(islice(plan(7), 100)) == list(islice(plan(7), 100)) != list(islice(plan(8), 100))
    assert list(islice(lives(7, INGRESS, 0), 30)) != list(islice(lives(7, INGRESS, 1), 30))


def test_the_deliveries_have_what_is_hard() -> None:
    """Each number once, shuffled; every sender in turn, every way to sign, nearly a third doubled in every way."""
    plan = deliveries(3, EVENTS)
    genuine = [each for each in plan if each.due is not Due.REFUSED]
    assert len(genuine) == EVENTS
    assert len({each.number for each in plan}) == len(plan)
    assert [each.number for each in plan] != sorted(each.number for each in plan)
    assert set(Counter(each.sender for each in genuine).values()) == {EVENTS // len(SENDERS)}
    assert {each.signed for each in plan} == set(Signed)
    assert {each.due for each in plan} == set(Due)
    again = [each for each in genuine if {d.copy for d in each.doubles} & {Copy.AGAIN, Copy.RECOMPUTED}]
    assert 0.27 < len(again) / EVENTS < 0.33
    doubles = [double for each in genuine for double in each.doubles]
    assert {(each.copy, each.when) for each in doubles} == {(copy, when) for copy in Copy for when in When}


def test_what_is_not_promised_is_not_planned() -> None:
    """RULES 12.6: only senders that sign the body alone have twins, and none of a body that is recomputed."""
    for each in deliveries(3, EVENTS):
        copies = {double.copy for double in each.doubles}
        if Copy.TWIN in copies:
            assert each.sender in BODY_SIGNED
            assert Copy.RECOMPUTED not in copies
        if each.due is Due.REFUSED:
            assert not copies


def test_some_of_the_forged_have_the_id_of_a_genuine_one() -> None:
    """What is refused must not stand in the way of what has the same id."""
    plan = deliveries(3, EVENTS)
    ids = {(each.sender, each.id) for each in plan if each.due is not Due.REFUSED}
    forged = [each for each in plan if each.due is Due.REFUSED]
    assert 0.3 < sum((each.sender, each.id) in ids for each in forged) / len(forged) < 0.7


def test_copies_are_what_they_are_called() -> None:
    """A further push has the same bytes, or other bytes of the same content, or another content, or another id."""
    secrets, chance = Secrets(), random.Random(1)
    each = next(d for d in deliveries(3, 100) if d.sender == "github" and d.due is Due.SAID)
    first = request_of(each, None, secrets, 1000, chance)
    found = {copy: request_of(each, copy, secrets, 2000, chance) for copy in Copy}
    assert found[Copy.AGAIN].body == found[Copy.TWIN].body == first.body
    assert found[Copy.TWIN].headers["X-GitHub-Delivery"] != first.headers["X-GitHub-Delivery"]
    assert found[Copy.RECOMPUTED].body != first.body
    assert found[Copy.RECOMPUTED].what == first.what != found[Copy.OTHER].what


def test_every_boundary_is_planned() -> None:
    """Sixty lives of ingress hold each boundary, a random end and a pause; subscribers end at random."""
    planned = list(islice(lives(3, INGRESS, 0), 60))
    assert {life.point for life in planned if life.way is Way.POINT} == set(POINTS)
    assert {life.way for life in planned} == set(Way)
    assert {life.way for name in SUBSCRIBERS for life in islice(lives(3, name, 1), 20)} == {Way.TIME}


def test_a_database_is_killed_only_where_there_is_one() -> None:
    """Both troubles come, and without a server only that of the broker."""
    assert {each.trouble for each in islice(disturbances(5, database=True), 50)} == set(Trouble)
    assert {each.trouble for each in islice(disturbances(5, database=False), 50)} == {Trouble.BROKER}
