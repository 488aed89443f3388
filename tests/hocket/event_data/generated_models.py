"""Generates event models, and values for them, as teams might write them: every kind of field, alias and setting."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4

from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    RootModel,
    SecretBytes,
    SecretStr,
    SerializeAsAny,
    StringConstraints,
    computed_field,
    create_model,
)
from pydantic.errors import PydanticUserError

from hocket import Event, Sensitive
from hocket.errors import DeclarationError


class Color(Enum):
    """Its text is not its value."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    """Whole numbers with names."""

    LOW = 1
    HIGH = 2


class Size(StrEnum):
    """Texts with names."""

    SMALL = "s"
    LARGE = "l"


class Pair(Enum):
    """Its values are tuples, which JSON does not have."""

    ONE = (1, "a")


class Base(BaseModel):
    """A part of an event."""

    name: str


class Extended(Base):
    """A part with more than the field declares."""

    more: int = 0


class Camel(BaseModel):
    """A part whose names on the wire come from a generator."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_c", "C"), populate_by_name=True)

    coupon_code: str


class Open(BaseModel):
    """A part that keeps what it does not know."""

    model_config = ConfigDict(extra="allow")

    known: int


class Closed(BaseModel):
    """A part that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")

    known: int


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    """The other of two."""

    kind: Literal["dog"] = "dog"
    bark: bool


class Words(RootModel[list[str]]):
    """A part that is no object."""


class Tree(BaseModel):
    """A part that contains itself."""

    name: str
    kids: list["Tree"] = Field(default_factory=list)


class Computed(BaseModel):
    """A part with a field that is only written."""

    cents: int

    @computed_field
    def euros(self) -> str:
        """The amount for people."""
        return f"{self.cents / 100:.2f}"


METACLASS: Any = type(Event)
T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A generic part."""

    items: list[T]


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: float


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ZONES = st.one_of(st.just(UTC), st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))))
MOMENTS = st.datetimes(timezones=st.one_of(st.none(), ZONES))
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
NAMED = TEXT.map(lambda name: Base(name=name))
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ODD = st.one_of(MOMENTS, st.uuids(), DECIMALS, st.tuples(TEXT), st.just(Color.RED), st.binary(max_size=3), NAMED)

#: Annotations, and values that their fields may hold.
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXT),
    (int, st.integers(-(2**70), 2**70)),
    (float, FLOATS),
    (bool, st.booleans()),
    (Decimal, DECIMALS),
    (UUID, st.uuids()),
    (datetime, MOMENTS),
    (date, st.dates()),
    (time, st.times(timezones=st.one_of(st.none(), ZONES))),
    (timedelta, st.timedeltas()),
    (bytes, st.binary(max_size=6)),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Size, st.sampled_from(Size)),
    (Pair, st.just(Pair.ONE)),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (str | None, st.none() | TEXT),
    (int | str, st.integers(-5, 5) | TEXT),
    (UUID | str, st.uuids() | st.uuids().map(str) | TEXT),
    (float | int, FLOATS | st.integers(-(2**60), 2**60)),
    (date | datetime, st.dates() | MOMENTS),
    (list[int], st.lists(st.integers(-(2**55), 2**55), max_size=3)),
    (tuple[int, ...], st.lists(st.integers(-9, 9), max_size=3).map(tuple)),
    (Point, st.builds(Point, st.integers(-9, 9), FLOATS)),
    (set[str], st.sets(TEXT, max_size=3)),
    (frozenset[int], st.frozensets(st.integers(-9, 9), max_size=3)),
    (dict[str, Decimal], st.dictionaries(TEXT, DECIMALS, max_size=3)),
    (dict[int, str], st.dictionaries(st.integers(-9, 9), TEXT, max_size=3)),
    (dict[UUID, date], st.dictionaries(st.uuids(), st.dates(), max_size=2)),
    (Any, JSONS | ODD),
    (object, JSONS | ODD),
    (dict[str, Any], st.dictionaries(TEXT, JSONS | ODD, max_size=2)),
    (Json[list[int]], st.just("[1, 2]")),
    (Base, NAMED | st.builds(Extended, name=TEXT, more=st.integers(-9, 9))),
    (SerializeAsAny[Base], NAMED | st.builds(Extended, name=TEXT, more=st.integers(-9, 9))),
    (list[Base], st.lists(NAMED | st.builds(Extended, name=TEXT), max_size=2)),
    (Camel, st.builds(Camel, coupon_code=TEXT)),
    (Open, st.builds(Open, known=st.integers(-9, 9), more=st.one_of(TEXT, ODD))),
    (Closed, st.builds(Closed, known=st.integers(-9, 9))),
    (Computed, st.builds(Computed, cents=st.integers(0, 999))),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        st.builds(Cat, lives=st.integers(0, 9)) | st.just(Dog(bark=True)),
    ),
    (Words, st.lists(TEXT, max_size=2).map(Words)),
    (Tree, st.builds(Tree, name=TEXT, kids=st.lists(st.builds(Tree, name=TEXT), max_size=2))),
    (Page[int], st.builds(Page[int], items=st.lists(st.integers(-9, 9), max_size=2))),
    (Sensitive[str], TEXT),
    (SecretStr, TEXT.map(SecretStr)),
    (SecretBytes | None, st.none()),
    (Annotated[int, AfterValidator(lambda value: value + 1)], st.integers(-9, 9)),
    (Annotated[str, AfterValidator(str.strip)], TEXT),
    (Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True)], TEXT),
    (Annotated[int, PlainSerializer(lambda value: f"{value:04}", return_type=str)], st.integers(0, 9)),
    (Annotated[datetime, PlainSerializer(lambda value: value.date())], MOMENTS),
    (Callable[[], int], st.just(int)),
    (type[int], st.just(int)),
]

#: What stands behind the annotation; the number makes the alias of each field its own.
DETAILS: list[Callable[[int], dict[str, Any]]] = [
    *[lambda _: {}] * 6,
    lambda n: {"alias": f"alias{n}"},
    lambda n: {"validation_alias": f"read{n}"},
    lambda n: {"serialization_alias": f"written{n}"},
    lambda n: {"validation_alias": f"both{n}", "serialization_alias": f"both{n}"},
    lambda n: {"validation_alias": AliasChoices(f"old{n}", f"new{n}"), "serialization_alias": f"new{n}"},
    lambda n: {"validation_alias": AliasPath(f"deep{n}", "inner")},
    lambda _: {"exclude": True},
    lambda _: {"exclude_if": lambda value: not value},
    lambda _: {"strict": True},
    lambda _: {"alias": "shared"},
]

CONFIGS: list[dict[str, Any]] = [
    {},
    {},
    {"strict": True},
    {"populate_by_name": True},
    {"validate_by_name": True, "validate_by_alias": False},
    {"alias_generator": lambda name: name.upper()},
    {"use_enum_values": True},
    {"ser_json_bytes": "base64"},
    {"ser_json_bytes": "base64", "val_json_bytes": "base64"},
    {"ser_json_timedelta": "float"},
    {"ser_json_inf_nan": "null"},
    {"ser_json_inf_nan": "strings"},
    {"str_strip_whitespace": True},
    {"coerce_numbers_to_str": True},
    {"serialize_by_alias": False},
]


class Made(NamedTuple):
    """A generated model, or the reason why it was refused at import, and values for its fields."""

    model: type[Event] | None
    reason: str
    values: dict[str, Any]


@st.composite
def events(draw: st.DrawFn) -> Made:
    """An event model of one to three fields, and values for them."""
    config = draw(st.sampled_from(CONFIGS))
    fields: dict[str, Any] = {}
    values: dict[str, Any] = {"order_id": "4711"}
    for number in range(draw(st.integers(1, 3))):
        annotation, wanted = draw(st.sampled_from(KINDS))
        details, name = draw(st.sampled_from(DETAILS))(number), f"field_{number}"
        value = draw(wanted)
        match draw(st.sampled_from(["required", "required", "default", "factory"])):
            case "default":
                details["default"] = value if draw(st.booleans()) else draw(st.sampled_from([None, 0, "x", ()]))
            case "factory":
                details["default_factory"] = uuid4 if annotation is UUID else (lambda value=value: value)
            case _:
                values[name] = value
        fields[name] = (annotation, Field(**details))
    words = {"type": "thing.made", "subject": "thing/{order_id}"}
    inner: dict[str, Any] = {"model_config": config, "__module__": __name__}
    base = METACLASS("Configured", (Event,), inner, type="thing.base", subject="thing")
    try:
        model = create_model("Thing", __base__=base, __cls_kwargs__=words, order_id=(str, ...), **fields)
    except DeclarationError as refused:
        return Made(None, str(refused), values)
    except (RuntimeError, PydanticUserError):  # annotation and details contradict each other for pydantic itself
        return Made(None, "Thing: refused by pydantic", values)
    return Made(model, "", values)
