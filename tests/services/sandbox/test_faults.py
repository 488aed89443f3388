"""Faults on demand: whom they befall, how often, how long."""

import pytest
from pydantic import ValidationError

from services.sandbox import faults as module
from services.sandbox.domain import Api, Target
from services.sandbox.faults import Faults, Kind, NewFault


def test_a_fault_befalls_what_matches() -> None:
    """Every field must be equal; without fields every request of the target matches."""
    faults = Faults()
    faults.add(NewFault(target=Target.MAIL, kind=Kind.DOWN, match={"to": "a@b", "kind": "welcome"}), 0.0)
    assert faults.befall(Api.MESSAGES, {"to": "a@b", "kind": "welcome", "text": "x"}, 0.0)
    assert faults.befall(Api.MESSAGES, {"to": "a@b"}, 0.0) is None
    assert faults.befall(Api.LEADS, {"to": "a@b", "kind": "welcome"}, 0.0) is None
    faults.add(NewFault(target=Target.CRM, kind=Kind.ERROR), 0.0)
    assert faults.befall(Api.LEADS, {}, 0.0)
    faults.add(NewFault(target=Target.CARDS, api=Api.REFUNDS, kind=Kind.ERROR), 0.0)
    assert faults.befall(Api.AUTHORISATIONS, {}, 0.0) is None
    assert faults.befall(Api.REFUNDS, {}, 0.0)


def test_a_fault_ends_by_count_by_time_or_by_hand() -> None:
    """`times`, `seconds`, and removal of one or of a whole target."""
    faults = Faults()
    faults.add(NewFault(target=Target.CARDS, kind=Kind.ERROR, times=2), 0.0)
    assert [bool(faults.befall(Api.AUTHORISATIONS, {}, 0.0)) for _ in range(3)] == [True, True, False]
    faults.add(NewFault(target=Target.CARDS, kind=Kind.ERROR, seconds=30), 100.0)
    assert faults.befall(Api.AUTHORISATIONS, {}, 129.9)
    assert faults.befall(Api.AUTHORISATIONS, {}, 130.0) is None
    last = [faults.add(NewFault(target=target, kind=Kind.DOWN), 0.0) for target in Target]
    assert faults.remove_all(Target.MAIL) == 1
    assert last[0] is not None
    assert faults.remove(last[0].id)
    assert not faults.remove(last[0].id)
    assert faults.remove_all(None) == len(Target) - 2
    assert faults.standing(0.0) == []


def test_the_oldest_fault_comes_first() -> None:
    """Two faults that match: the first one posted wins until it is used up."""
    faults = Faults()
    faults.add(NewFault(target=Target.CARDS, kind=Kind.TIMEOUT_AFTER, times=1), 0.0)
    faults.add(NewFault(target=Target.CARDS, kind=Kind.ERROR, times=1), 0.0)
    befallen = [faults.befall(Api.AUTHORISATIONS, {}, 0.0) for _ in range(3)]
    assert [each and each.kind for each in befallen] == [Kind.TIMEOUT_AFTER, Kind.ERROR, None]


def test_faults_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound nothing is added."""
    monkeypatch.setattr(module, "MAX_FAULTS", 2)
    faults = Faults()
    added = [faults.add(NewFault(target=Target.CARDS, kind=Kind.ERROR), 0.0) for _ in range(3)]
    assert [each is not None for each in added] == [True, True, False]


@pytest.mark.parametrize(
    "fault",
    [
        {"target": "cards"},
        {"target": "moon", "kind": "down"},
        {"target": "cards", "kind": "down", "times": 0},
        {"target": "cards", "kind": "down", "seconds": 0},
        {"target": "cards", "kind": "delay", "delay_ms": -1},
        {"target": "cards", "kind": "down", "tmies": 1},
    ],
)
def test_a_malformed_fault_is_refused(fault: dict[str, object]) -> None:
    """A misspelt field would be a fault that does something else than was meant."""
    with pytest.raises(ValidationError):
        NewFault.model_validate(fault)


def test_a_limit_lets_so_many_through_in_each_second() -> None:
    """The first ones of a second pass, the others are limited, and a new second begins anew."""
    faults = Faults()
    faults.add(NewFault(target=Target.CRM, kind=Kind.LIMIT, per_second=2), 10.0)
    asked = [faults.befall(Api.LEADS, {}, now) for now in (10.0, 10.3, 10.6, 10.9, 11.0)]
    assert [each and each.kind for each in asked] == [None, None, Kind.LIMIT, Kind.LIMIT, None]
    assert all(faults.befall(Api.LEADS, {}, 12.0 + each) is None for each in range(3))


def test_a_limit_that_lets_nobody_through_befalls_all() -> None:
    """Without `per_second` every request is limited; one that gets through uses up none of `times`."""
    faults = Faults()
    faults.add(NewFault(target=Target.CRM, kind=Kind.LIMIT, times=1), 0.0)
    assert [bool(faults.befall(Api.LEADS, {}, 0.0)) for _ in range(2)] == [True, False]
    faults.add(NewFault(target=Target.CRM, kind=Kind.LIMIT, times=1, per_second=1), 0.0)
    assert [bool(faults.befall(Api.LEADS, {}, 5.0)) for _ in range(3)] == [False, True, False]


def test_every_kind_is_told() -> None:
    """The module's table names each kind."""
    for kind in Kind:
        assert f"| `{kind}` |" in (module.__doc__ or "")
