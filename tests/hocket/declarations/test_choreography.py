"""Declarations of one service: what is bound, what the manifest reports, which declarations contradict each other."""

from collections.abc import Awaitable
from typing import Any

import pytest

from hocket.breaker import Breaker
from hocket.declarations.answer import Answer, Place
from hocket.declarations.choreography import Declarations
from hocket.declarations.subscription import Subscription, Undo, name_of
from hocket.declarations.versions import UpcastPath
from hocket.errors import DeclarationError
from hocket.event import Death, Event, Heard, Sensitive
from hocket.retry import Retry


class Asked(Heard, type="thing.asked", version=2):
    """The input of a step."""

    id: str
    email: Sensitive[str]


class Refused(Heard, type="other.refused"):
    """A failure."""

    id: str


class Unplaced(Heard, type="other.unplaced"):
    """A failure without the field of the scope."""

    place: str


class Made(Event, type="thing.made", subject="thing/{id}"):
    """What the step says."""

    id: str
    token: Sensitive[str] = ""


class GivenUp(Event, type="thing.given_up", subject="thing/{id}"):
    """What is said when the step is given up."""

    id: str


class GivenUpAgain(Event, type="thing.given_up", subject="thing/{id}"):
    """The same event in another class."""

    id: str


def handle(*_: Any) -> Awaitable[None]:
    """Stands for a handler that never runs here."""
    raise AssertionError


def gave_up(_: Asked, __: Death) -> GivenUp:
    """Stands for an on_dead that never runs here."""
    raise AssertionError


def subscription(name: str, *heard: type[Heard], says: tuple[type[Event], ...] = (), **more: Any) -> Subscription:
    """A subscription of service `things`."""
    answer = Answer("", Place(frozenset(says), frozenset(), none=True), (), ())
    return Subscription("things", name, handle, heard, says, more.pop("scheduled", ()), answer, Retry(), **more)


def undo(*why: type[Heard], by: tuple[str, ...] = (), name: str = "unmake") -> Subscription:
    """The undo of `things.make`."""
    return subscription(name, Asked, undo=Undo("things.make", Made, many=False, by=by, why=why))


def things(*more: Subscription, **of_step: Any) -> Declarations:
    """A service with a step `make`, and more."""
    declared = Declarations("things", "team-things")
    for each in (subscription("make", Asked, says=(Made,), **of_step), *more):
        declared.add(each)
    return declared


def failures(declared: Declarations) -> tuple[tuple[type[Heard], ...], tuple[type[Event], ...]]:
    """Bound and spoken failures of the undo."""
    found = declared.subscriptions["things.unmake"].undo
    assert found is not None
    return found.why, found.spoken


def test_an_undo_is_bound_to_its_failures_and_a_handler_to_what_it_hears() -> None:
    """RULES 5.4: the undo's queue hears failures, never the step's input."""
    declared = things(undo(Refused))
    step, undone_by = declared.subscriptions["things.make"], declared.subscriptions["things.unmake"]
    assert step.undone_by is undone_by
    assert step.bound == (("thing.asked", 2),)
    assert undone_by.bound == (("other.refused", 1),)
    assert undone_by.upcast_path("other.refused", 1) == UpcastPath(Refused, Refused)
    assert undone_by.upcast_path("thing.asked", 2) is None
    assert step.upcast_path("thing.asked", 1) is None


def test_what_on_dead_of_the_step_says_is_spoken_and_not_bound() -> None:
    """RULES 5.5: the undo order is written with the dead letter; `on_dead` may come before or after the undo."""
    after = things(undo(Refused, GivenUp))
    assert failures(after) == ((Refused, GivenUp), ())
    after.add_on_dead(after.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    before = things()
    before.add_on_dead(before.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    before.add(undo(Refused, GivenUp))
    assert failures(before) == failures(after) == ((Refused,), (GivenUp,))


@pytest.mark.parametrize("where", ["handler", "outside", "other on_dead", "later"])
def test_a_spoken_failure_that_others_say_too_is_bound_as_well(where: str) -> None:
    """A failure that another handler of the service says must reach the undo over the broker."""
    declared = things(undo(Refused, GivenUp), scheduled=(GivenUp,) if where == "later" else ())
    declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    if where == "handler":
        declared.add(subscription("look", Asked, says=(GivenUp,)))
    if where == "outside":
        declared.add_says(GivenUp)
    if where == "other on_dead":
        declared.add(subscription("look", Asked))
        declared.add_on_dead(declared.subscriptions["things.look"], gave_up, (GivenUp,), "things.gave_up_too")
    why, spoken = failures(declared)
    assert set(why) == {Refused, GivenUp}
    assert spoken == (GivenUp,)


def test_what_on_dead_says_must_start_the_undo() -> None:
    """RULES 5.5: refused, whichever of the two comes second; `complete` refuses what was changed afterwards."""
    declared = things(undo(Refused))
    sentence = r"things\.unmake: on_dead of things\.make says GivenUp, .*add it to .*why: Refused \| GivenUp"
    with pytest.raises(DeclarationError, match=sentence):
        declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    assert declared.subscriptions["things.make"].on_dead is None
    declared.complete()
    other = things()
    other.add_on_dead(other.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    with pytest.raises(DeclarationError, match=sentence):
        other.add(undo(Refused))
    declared.subscriptions["things.make"].on_dead_says = (GivenUp,)
    with pytest.raises(DeclarationError, match=sentence):
        declared.complete()


@pytest.mark.parametrize(("field", "lacks"), [("place", "Asked"), ("id", "Unplaced"), ("email", "Unplaced")])
def test_the_fields_of_a_scope_stand_in_input_and_failures(field: str, lacks: str) -> None:
    """RULES 5.1: `by` is checked when it is declared, in both events."""
    with pytest.raises(
        DeclarationError, match=f"by='{field}' must be a field of .*, in every version that is read, but {lacks} has no"
    ):
        things(undo(Unplaced, by=(field,)))


def test_the_scope_may_be_the_subject_of_a_heard_failure() -> None:
    """RULES 5.1: without `by` the subjects of the envelopes are the scope; no field is needed."""
    assert failures(things(undo(Unplaced))) == ((Unplaced,), ())


def test_a_step_has_one_undo() -> None:
    """With two undos, one effect would be undone twice."""
    with pytest.raises(DeclarationError, match=r"things\.make is undone by things\.unmake already"):
        things(undo(Refused), undo(Refused, name="unmake_too"))


def test_an_idempotent_handler_says_nothing() -> None:
    """RULES 2.6: `idempotent=True` writes no inbox row, so the handler may not say an event."""
    for words in ({"says": (GivenUp,)}, {"scheduled": (GivenUp,)}):
        declared = Declarations("things", "team-things")
        with pytest.raises(DeclarationError, match="idempotent=True writes no inbox row"):
            declared.add(subscription("look", Asked, idempotent=True, **words))
        assert not declared.subscriptions
        assert not declared.says


def test_one_event_has_one_class() -> None:
    """A service uses one class for one type and version everywhere."""
    declared = things()
    declared.add_says(GivenUp)
    with pytest.raises(
        DeclarationError, match=r"thing\.given_up version 1 is said as GivenUpAgain here and as GivenUp"
    ):
        declared.add(subscription("look", Asked, says=(GivenUpAgain,)))
    with pytest.raises(DeclarationError, match="keep one class"):
        declared.add_says(GivenUpAgain)
    with pytest.raises(DeclarationError, match="keep one class"):
        declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUpAgain,), "things.gave_up")
    assert declared.says[name_of(GivenUp)] is GivenUp
    assert "things.look" not in declared.subscriptions


def test_a_subscription_has_one_on_dead() -> None:
    """A second on_dead is refused."""
    declared = things()
    declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    with pytest.raises(DeclarationError, match=r"things\.again: things\.make has an on_dead already"):
        declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUp,), "things.again")


def test_breakers_of_one_name_are_one_breaker() -> None:
    """Two breakers with one name would share one state."""
    one, other = (Breaker("api", failures=(OSError,)) for _ in range(2))
    declared = things(subscription("look", Asked, breaker=one), breaker=one)
    with pytest.raises(DeclarationError, match="has another breaker named api; use one and the same object"):
        declared.add(subscription("see", Asked, breaker=other))


def test_the_manifest_has_everything_that_is_declared() -> None:
    """The manifest is plain data (docs/wire.md#receipts)."""
    breaker = Breaker("api", failures=(OSError,))
    declared = things(undo(Refused, GivenUp), breaker=breaker, scheduled=(Made,))
    declared.add_on_dead(declared.subscriptions["things.make"], gave_up, (GivenUp,), "things.gave_up")
    manifest = declared.manifest()
    assert manifest == {
        "service": "things",
        "owner": "team-things",
        "subscriptions": [
            {
                "name": "things.make",
                "hears": [["thing.asked", 2]],
                "says": [["thing.made", 1]],
                "scheduled": [["thing.made", 1]],
                "undo_of": None,
                "overdue": None,
                "why": [],
                "on_dead": [["thing.given_up", 1]],
                "breaker": "api",
                "attempts": 6,
                "budget": 391.0,
            },
            {
                "name": "things.unmake",
                "hears": [["thing.asked", 2]],
                "says": [],
                "scheduled": [],
                "undo_of": "things.make",
                "overdue": None,
                "why": [["other.refused", 1]],
                "on_dead": [],
                "breaker": None,
                "attempts": 6,
                "budget": 391.0,
            },
        ],
        "says": [["thing.made", 1], ["thing.given_up", 1]],
        "sensitive": {"thing.made/1": ["token"], "thing.asked/2": ["email"]},
    }
