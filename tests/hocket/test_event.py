"""Events and heard events: what a declaration becomes, and what is refused when the class is created."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple, NewType

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, ValidationError, computed_field
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType, TypedDict

from hocket.errors import DeclarationError, Unsayable
from hocket.event import MAX_SCHEDULE_KEY_BYTES, MAX_TYPE_BYTES, Event, Heard, Scheduled, Sensitive


class Address(BaseModel):
    """A part of an event with a sensitive field."""

    street: Sensitive[str]
    others: list["Address"] = Field(default_factory=list)


@dataclass
class Point:
    """A dataclass with a sensitive field."""

    where: Sensitive[str]


class Place(TypedDict):
    """A typed dict with a sensitive key."""

    where: Sensitive[str]


class Pair(NamedTuple):
    """A tuple with a sensitive field."""

    where: Sensitive[str]


class OrderPlaced(Event, type="order.placed", version=2, subject="shop/{shop}/order/{order_id}"):
    """An event with every kind of field."""

    shop: str
    order_id: int
    email: Sensitive[str]
    phone: Sensitive[str] | None = None
    address: dict[str, Address] = Field(default_factory=dict)
    token: Sensitive[str] = Field(default="", alias="cardToken")


METACLASS: Any = type(Event)
PLACED = OrderPlaced(shop="a", order_id=4711, email="ada@example.com", cardToken="t")


def test_an_event_knows_its_type_version_and_subject() -> None:
    """The class keywords become attributes, and the subject is formatted from the fields."""
    assert (OrderPlaced.__hocket_type__, OrderPlaced.__hocket_version__) == ("order.placed", 2)
    assert PLACED.subject_of() == "shop/a/order/4711"


def test_braces_in_a_value_stay_text() -> None:
    """A value of a field is never read as a template."""
    assert PLACED.model_copy(update={"shop": "{order_id}"}).subject_of() == "shop/{order_id}/order/4711"


def test_a_heard_event_reads_only_what_it_names() -> None:
    """Unknown fields are ignored, so that the publisher may add some (RULES 10.1); version 1 is the default."""

    class Placed(Heard, type="order.placed"):
        order_id: int

    assert Placed.model_validate({"order_id": 1, "new": "x"}) == Placed(order_id=1)
    assert Placed.__hocket_version__ == 1
    assert Placed.__hocket_sensitive__ == ()


def test_a_heard_event_may_have_a_foreign_type() -> None:
    """Publishers without hocket choose their own type names."""

    class Pushed(Heard, type="com.example.Push-Event"):
        ref: str

    assert Pushed.__hocket_type__ == "com.example.Push-Event"


def test_events_are_frozen() -> None:
    """A field of an instance cannot be set."""
    changeable: Any = PLACED
    with pytest.raises(ValidationError, match="frozen"):
        changeable.order_id = 1


def test_sensitive_fields_are_known_by_their_keys_in_the_data() -> None:
    """A field is sensitive as a whole when something in it is; its alias counts too."""
    assert OrderPlaced.__hocket_sensitive__ == ("email", "phone", "address", "token", "cardToken")


@pytest.mark.parametrize(
    ("annotation", "field", "names"),
    [
        (Sensitive[str], Field(alias="a"), ("x", "a")),
        (Sensitive[str], Field(validation_alias="v", serialization_alias="s"), ("x", "v", "s")),
        (Sensitive[str], Field(validation_alias=AliasChoices("one", "two", AliasPath("deep", "x"))),
         ("x", "one", "two", "deep")),
        (Sensitive[str], Field(validation_alias=AliasPath("user", 0, "email")), ("x", "user")),
        (dict[str, Sensitive[str]], Field(), ("x",)),
        (dict[Sensitive[str], int], Field(), ("x",)),
        (list[Sensitive[str] | int] | None, Field(), ("x",)),
        (Annotated[Sensitive[str] | None, Field(max_length=9)], Field(), ("x",)),
        (tuple[int, list[Address]], Field(), ("x",)),
        (Point, Field(), ("x",)),
        (Place, Field(), ("x",)),
        (Pair, Field(), ("x",)),
        (NewType("Secret", Sensitive[str]), Field(), ("x",)),
        (TypeAliasType("Alias", Sensitive[str]), Field(), ("x",)),
        (dict[str, int], Field(alias="a"), ()),
    ],
)  # fmt: skip
def test_a_sensitive_field_is_known_by_every_name(annotation: Any, field: Any, names: tuple[str, ...]) -> None:
    """RULES 18.3: by each alias, by the first part of a path, however deep the sensitive part is."""
    made = METACLASS(
        "Made", (Heard,), {"__module__": __name__, "__annotations__": {"x": annotation}, "x": field}, type="a.b"
    )
    assert made.__hocket_sensitive__ == names


def test_names_made_by_a_generator_and_computed_fields_are_known() -> None:
    """RULES 18.3: an alias generator gives the names on the wire; a computed field is written too."""

    class Camel(Heard, type="a.b"):
        model_config = ConfigDict(alias_generator=to_camel)

        first_email: Sensitive[str]

        @computed_field
        def shown_email(self) -> Sensitive[str]:
            return self.first_email

    assert set(Camel.__hocket_sensitive__) >= {"first_email", "firstEmail", "shown_email", "shownEmail"}


def test_an_event_may_inherit_fields_of_another() -> None:
    """Each class of an event names its own type, version and subject."""

    class OrderChanged(OrderPlaced, type="order.changed", subject="order/{order_id}"):
        pass

    assert (OrderChanged.__hocket_type__, OrderChanged.__hocket_version__) == ("order.changed", 1)
    assert OrderPlaced.__hocket_type__ == "order.placed"


def event(**words: Any) -> type[Event]:
    """Make an event class with these class keywords; `fields` are its annotations, `config` its model_config."""
    body = {"__module__": __name__, "__annotations__": words.pop("fields", {"a": str, "b": str | None})}
    if "config" in words:
        body["model_config"] = words.pop("config")
    made: type[Event] = METACLASS("Made", (Event,), body, **words)
    return made


def heard(**words: Any) -> type[Heard]:
    """Make a heard class with these class keywords."""
    made: type[Heard] = METACLASS("Made", (Heard,), {"__module__": __name__, "__annotations__": {"a": str}}, **words)
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"subject": "order/{a}"}, 'the type is missing; add type="order.placed"'),
        ({"type": "a.b"}, r'add subject="order/\{order_id\}" with a field of the event'),
        ({"type": "a.b", "subject": ""}, "the subject is missing"),
        ({"type": "a.b", "subject": 3}, "the subject is missing"),
        ({"typ": "a.b", "subject": "order/{a}"}, "class keyword 'typ' is unknown; give type="),
        ({"type": "Order.Placed", "subject": "order/{a}"}, "lower case with dots"),
        ({"type": "placed", "subject": "order/{a}"}, "lower case with dots"),
        ({"type": "order..placed", "subject": "order/{a}"}, "lower case with dots"),
        ({"type": "order.*", "subject": "order/{a}"}, "lower case with dots"),
        ({"type": "a." + "b" * MAX_TYPE_BYTES, "subject": "order/{a}"}, "at most 200 bytes"),
        ({"type": 3, "subject": "order/{a}"}, "the type is missing"),
        ({"type": "hocket.undo", "subject": "order/{a}"}, "begins with a reserved name"),
        ({"type": "amq.direct", "subject": "order/{a}"}, "begins with a reserved name"),
        ({"type": "a.b", "subject": "order/{a}", "version": "1"}, "version '1' is invalid; give a whole number from 1"),
        ({"type": "a.b", "subject": "order/{a}", "version": True}, "version True is invalid"),
        ({"type": "a.b", "subject": "order/{a}", "version": 0}, "version 0 is invalid"),
        ({"type": "a.b", "subject": "order/{c}"}, "names 'c', which is not one of its fields: a, b"),
        ({"type": "a.b", "subject": "order/{b}"}, r"names 'b', which is str \| None, which may be missing"),
        ({"type": "a.b", "subject": "order/{a.c}"}, "may contain only plain fields"),
        ({"type": "a.b", "subject": "order/{a!r}"}, "may contain only plain fields"),
        ({"type": "a.b", "subject": "order/{a:>5}"}, "may contain only plain fields"),
        ({"type": "a.b", "subject": "order/{}"}, "may contain only plain fields"),
        ({"type": "a.b", "subject": "order/{a"}, "is not a valid format"),
        ({"type": "a.b", "subject": "order/{a}", "frozen": False}, "remove `frozen` and `extra` from"),
        (
            {"type": "a.b", "subject": "order/{a}", "config": ConfigDict(extra="forbid")},
            "remove `frozen` and `extra` from",
        ),
        ({"type": "a.b", "subject": "order/{a}", "fields": {"a": "Unknown"}}, "cannot be resolved; define or import"),
    ],
)
def test_an_invalid_event_is_refused(words: dict[str, Any], sentence: str) -> None:
    """Wrong, missing and misspelt class keywords raise `DeclarationError` when the class is created."""
    with pytest.raises(DeclarationError, match=rf"^Made: .*{sentence}"):
        event(**words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, 'the type is missing; add type="order.placed"'),
        ({"type": "a.b", "subject": "order/{a}"}, "class keyword 'subject' is unknown; give type="),
        ({"type": "order placed"}, "write a noun and a past participle"),
        ({"type": "order.#"}, "write a noun and a past participle"),
        ({"type": "a.b", "version": 1.5}, "version 1.5 is invalid"),
    ],
)
def test_an_invalid_heard_event_is_refused(words: dict[str, Any], sentence: str) -> None:
    """The same for a heard event; its subject is in the envelope, so `subject` is not a keyword."""
    with pytest.raises(DeclarationError, match=rf"^Made: .*{sentence}"):
        heard(**words)


def test_something_scheduled_keeps_its_moment_and_key() -> None:
    """After a time from the commit, or at a moment."""
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    after = Scheduled(PLACED, after=timedelta(days=1), key="k")
    at = Scheduled(PLACED, at=moment, key="k")
    assert (after.event, after.after, after.at, after.key) == (PLACED, timedelta(days=1), None, "k")
    assert (at.after, at.at) == (None, moment)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"key": "k"}, r"give after=.* exactly one of them"),
        ({"after": timedelta(1), "at": datetime(2030, 1, 1, tzinfo=UTC), "key": "k"}, "exactly one of them"),
        ({"after": timedelta(seconds=-1), "key": "k"}, "is negative"),
        ({"at": datetime(2030, 1, 1), "key": "k"}, "has no time zone"),  # noqa: DTZ001 - the mistake
        ({"after": timedelta(1), "key": ""}, "the key must have 1 to"),
        ({"after": timedelta(1), "key": "k" * (MAX_SCHEDULE_KEY_BYTES + 1)}, "the key must have 1 to"),
    ],
)
def test_an_invalid_schedule_is_refused(words: dict[str, Any], sentence: str) -> None:
    """The constructor raises `Unsayable`; the message says what to write."""
    with pytest.raises(Unsayable, match=rf"^Scheduled OrderPlaced: .*{sentence}"):
        Scheduled(PLACED, **words)


def test_only_an_event_can_be_scheduled() -> None:
    """A heard event belongs to the service that says it."""
    foreign: Any = heard(type="a.b").model_validate({"a": "x"})
    with pytest.raises(Unsayable, match="only an Event can be scheduled"):
        Scheduled(foreign, after=timedelta(1), key="k")
