"""The fields of a scope: what would compare equal values as different is refused at import, and both are named."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AfterValidator

from hocket import Event, Heard, Sensitive, Service, Tx
from hocket.declarations.scope import check_scope
from hocket.errors import DeclarationError

METACLASS: Any = type(Event)


def model(name: str, base: Any, annotation: Any, *default: object) -> Any:
    """An event whose field `order_id` has this annotation."""
    inner: dict[str, Any] = {"__annotations__": {"order_id": annotation, "id": str}, "__module__": __name__, "id": "1"}
    if default:
        inner["order_id"] = default[0]
    words = {"type": f"order.{name.lower()}"} | ({"subject": "order/{id}"} if base is Event else {})
    return METACLASS(name, (base,), inner, **words)


def check(step: Any, failure: Any, did: Any = str) -> None:
    """A step whose input, failure and result declare `order_id` like this."""
    heard, why = (each if isinstance(each, tuple) else (each,) for each in (step, failure))
    placed, rejected = model("Placed", Heard, *heard), model("Rejected", Heard, *why)
    check_scope("order_id", (placed,), (rejected,), (model("Charged", Event, did),), "payments.refund")


@pytest.mark.parametrize(
    ("step", "failure", "did", "sentence"),
    [
        (UUID, str, UUID, r"Placed\.order_id with Rejected\.order_id, which are declared differently: UUID and str"),
        (str, str, UUID, r"Placed\.order_id with Charged\.order_id, which are declared differently: str and UUID"),
        (datetime, datetime, str, r"Placed\.order_id is datetime, which may .*; use str, int, UUID, date"),
        (Decimal, Decimal, str, r"Placed\.order_id is Decimal"),
        (float, int, str, r"Placed\.order_id is float"),
        (str, bool, str, r"Rejected\.order_id is bool"),
        (str | None, str, str, r"Placed\.order_id is str \| None"),
        ((str, ""), str, str, r"Placed\.order_id has a default, .*; make it required"),
        (str, Annotated[str, AfterValidator(str.lower)], str, "declared differently"),
    ],
)
def test_what_may_look_different_is_refused(step: Any, failure: Any, did: Any, sentence: str) -> None:
    """RULES 5.1: a step was charged and never refunded because one id came as UUID and as text in upper case."""
    with pytest.raises(DeclarationError, match=rf"payments\.refund: by='order_id' compares .*{sentence}"):
        check(step, failure, did)


@pytest.mark.parametrize("annotation", [str, int, UUID, Annotated[UUID, "id"]])
def test_one_annotation_in_all_is_allowed(annotation: Any) -> None:
    """RULES 5.1: one annotation in all of them; that one of them is sensitive changes nothing."""
    check(annotation, annotation, annotation)
    check(str, Sensitive[str], str)


def test_a_result_without_the_field_is_refused() -> None:
    """RULES 5.1: the result has the fields of the scope too."""
    models = (model("Placed", Heard, str),), (model("Rejected", Heard, str),), (Plain,)
    with pytest.raises(DeclarationError, match=r"by='order_id' must be a field of .* but Plain has no such field"):
        check_scope("order_id", *models, "payments.refund")


class Plain(Event, type="order.charged", subject="order"):
    """A result without the field."""


class Asked(Heard, type="trip.asked", version=2):
    """What the step hears."""

    trip: str


class AskedOnce(Heard, type="trip.asked"):
    """The same in its first version, which names the trip by a number."""

    trip: int


class Booked(Event, type="trip.booked", subject="trip/{trip}"):
    """The result."""

    trip: str


class Dropped(Heard, type="trip.dropped"):
    """The failure."""

    trip: str


async def book(asked: Asked, tx: Tx) -> Booked | None:
    """The step."""


async def unbook(asked: Asked, did: Booked | None, why: Dropped, tx: Tx) -> None:
    """The undo."""


def trips() -> Service:
    """A service with the step, and no undo yet."""
    made = Service("trips", owner="team-trips")
    made.handler(book)
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"across": True}, r'across=True needs by=, which names what happens once, as by="order_id"'),
        ({"across": 1, "by": "trip"}, "across=1 is not True or False"),
        ({"remember": 400}, "remember=400 is not a timedelta above 0 and at most 3660 days"),
        ({"remember": timedelta(0)}, "is not a timedelta above 0"),
        ({"remember": timedelta(days=3661)}, "is not a timedelta above 0"),
    ],
)
def test_what_an_undo_asks_of_its_scope_is_checked(words: dict[str, Any], sentence: str) -> None:
    """RULES 5.1, 5.4: across= needs fields that name what happens once; remember= is a bounded time."""
    with pytest.raises(DeclarationError, match=rf"trips\.unbook: .*{sentence}"):
        trips().undo(book, Booked, **words)(unbook)


def test_across_and_remember_stand_in_the_declaration() -> None:
    """RULES 5.1, 5.4: what was asked for is what is declared."""
    made = trips()
    made.undo(book, Booked, by="trip", across=True, remember=timedelta(days=400))(unbook)
    undo = made.declarations.subscriptions["trips.unbook"].undo
    assert undo is not None
    assert (undo.across, undo.remember, undo.secret) == (True, timedelta(days=400), False)


def _both(declare: Callable[[], object], made: Service) -> None:
    """Declare, then check the declarations as a whole."""
    declare()
    made.complete()


@pytest.mark.parametrize("first", ["upcast", "undo"])
def test_every_version_that_is_read_declares_the_fields(first: str) -> None:
    """RULES 5.1: an older version with another annotation is refused, whichever is declared first."""

    def newer(old: AskedOnce) -> Asked:
        return Asked(trip=str(old.trip))

    made = trips()
    declare: dict[str, Callable[[], object]] = {
        "undo": lambda: made.undo(book, Booked, by="trip")(unbook),
        "upcast": lambda: made.upcast(newer),
    }
    declare.pop(first)()
    [other] = declare.values()
    with pytest.raises(DeclarationError, match=r"compares Asked\.trip with AskedOnce\.trip, which are declared differ"):
        _both(other, made)
