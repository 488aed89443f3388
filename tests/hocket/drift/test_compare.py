"""What differs between JSON and what a model reads."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from hocket.drift.compare import MAX_FINDINGS, MAX_VALUES, compare
from hocket.drift.kinds import Kind
from hocket.drift.reads import fingerprint_of, reads_of
from hocket.event import Heard, Sensitive


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Line(BaseModel):
    sku: str
    many: int = 1


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    name: str = ""


class Card(BaseModel):
    kind: Literal["card"]
    last4: str


class Iban(BaseModel):
    kind: Literal["iban"]
    iban: str
    bic: str = ""


class Tree(BaseModel):
    value: int
    below: "list[Tree]" = Field(default_factory=list)


@dataclass
class Size:
    width: int
    height: int = 0


class Spot(TypedDict, total=False):
    x: int


class Placed(Heard, type="order.placed"):
    order_id: str = Field(alias="orderId")
    currency: Currency = Currency.EUR
    level: Level | None = None
    note: str | None = None
    amount: Decimal = Decimal()
    many: int = 0
    paid: bool = False
    at: datetime | None = None
    day: date | None = None
    wait: timedelta | None = None
    email: Sensitive[str] = ""
    line: Line | None = None
    lines: list[Line] = Field(default_factory=list)
    pair: tuple[int, str] = (0, "")
    prices: dict[str, int] = Field(default_factory=dict)
    strict: Strict | None = None
    open: Open | None = None
    pays: Annotated[Card | Iban, Field(discriminator="kind")] | None = None
    either: Card | Iban | None = None
    some: int | str = 0
    tree: Tree | None = None
    size: Size | None = None
    spot: Spot | None = None
    first: str = Field("", validation_alias=AliasChoices("vorname", "first"))
    deep: str = Field("", validation_alias=AliasPath("a", "b"))
    anything: Any = None


#: As the model reads it.
WHOLE: dict[str, Any] = {
    "orderId": "4711", "currency": "USD", "level": 2, "note": "n", "amount": "1.20", "many": 3, "paid": True,
    "at": "2026-11-24T14:05:00Z", "day": "2026-11-24", "wait": "PT5S", "email": "a@b", "line": {"sku": "x", "many": 1},
    "lines": [{"sku": "x", "many": 2}], "pair": [1, "a"], "prices": {"x": 1}, "strict": {"name": "s"},
    "open": {"name": "o", "more": 1}, "pays": {"kind": "card", "last4": "1"},
    "either": {"kind": "iban", "iban": "i", "bic": "b"}, "some": "text",
    "tree": {"value": 1, "below": [{"value": 2, "below": []}]}, "size": {"width": 1, "height": 2}, "spot": {"x": 1},
    "vorname": "v", "a": {"b": "c"}, "anything": {"x": [1]},
}  # fmt: skip


def found(data: Any, model: type[BaseModel] = Placed) -> set[tuple[str, str]]:
    """The paths and kinds that differ."""
    return {(each.path, each.kind.value) for each in compare(model, data)}


def test_what_is_as_it_is_read_does_not_differ() -> None:
    """RULES 16.1: aliases, nested models, unions, maps, enums, dates and converted numbers are read as they came."""
    Placed.model_validate(WHOLE)
    assert found(WHOLE) == set()
    assert found({**WHOLE, "amount": 1.2, "some": 5, "first": "w", "open": {"name": "o"}}) == set()


@pytest.mark.parametrize(
    ("change", "path", "kind"),
    [
        ({"tags": "secret"}, "tags", "unknown"),
        ({"order_id": "by its name"}, "order_id", "unknown"),
        ({"line": {"sku": "x", "many": 1, "tags": ["secret"]}}, "line.tags", "unknown"),
        ({"lines": [{"sku": "x", "many": 1}, {"sku": "y", "many": 1, "tags": 1}]}, "lines[].tags", "unknown"),
        ({"strict": {"name": "n", "more": 1}}, "strict.more", "unknown"),
        ({"tree": {"value": 1, "below": [{"value": 2, "below": [], "z": 1}]}}, "tree.below[].z", "unknown"),
        ({"size": {"width": 1, "height": 1, "depth": 1}}, "size.depth", "unknown"),
        ({"spot": {"x": 1, "y": 1}}, "spot.y", "unknown"),
        ({"line": {"sku": "x"}}, "line.many", "missing"),
        ({"line": {"many": 1}}, "line.sku", "missing"),
        ({"spot": {}}, "spot.x", "missing"),
        ({"first": None}, "first", "null"),
        ({"either": {"kind": "iban", "iban": "i"}}, "either.bic", "missing"),
        ({"pays": {"last4": "1"}}, "pays.kind", "missing"),
        ({"note": None}, "note", "null"),
        ({"line": {"sku": None, "many": 1}}, "line.sku", "null"),
        ({"many": "3"}, "many", "type"),
        ({"many": True}, "many", "type"),
        ({"paid": 1}, "paid", "type"),
        ({"at": 1_764_000_000}, "at", "type"),
        ({"amount": True}, "amount", "type"),
        ({"lines": {"sku": "x"}}, "lines", "type"),
        ({"pair": ["1", "a"]}, "pair[]", "type"),
        ({"prices": {"x": "1"}}, "prices.*", "type"),
        ({"open": {"name": "o", "more": "1"}}, "open.*", "type"),
        ({"pays": "card"}, "pays", "type"),
        ({"some": [1]}, "some", "type"),
        ({"currency": "CHF"}, "currency", "value"),
        ({"level": 7}, "level", "value"),
        ({"currency": 7}, "currency", "type"),
        ({"pays": {"kind": "cash"}}, "pays.kind", "value"),
    ],
)
def test_each_kind_is_told_with_its_path(change: dict[str, Any], path: str, kind: str) -> None:
    """RULES 16.1: unknown, missing, null, type, value, wherever it stands; one change is one finding."""
    assert found({**WHOLE, **change}) == {(path, kind)}


def test_what_the_annotation_allows_is_counted_and_not_held() -> None:
    """RULES 16.4: null or nothing in a field that allows None, and unknown fields, keep nothing out; a default does."""
    without = {name: each for name, each in WHOLE.items() if name not in {"note", "many"}}
    holds = {each.path: each.holds for each in compare(Placed, {**without, "level": None, "new": 1})}
    assert holds == {"note": False, "level": False, "new": False, "many": True}


def test_no_value_is_ever_told() -> None:
    """RULES 16.1: paths, never values, also of sensitive fields and of names that are data."""
    data = {
        "orderId": 5, "email": ["max@example.org"], "max@example.org": 1, "4711": 1, "order_2026112400017": 1,
        "x" * 65: 1, "a\x00b": 1,
        "\u202eevil": 1, "0199c2f5-03be-7000-8000-000000000001": 1, "prices": {"max@example.org": "1"},
        "prénom": 1, "line item": 1, "@type": 1,
    }  # fmt: skip
    told = found(data)
    shown = repr(told)
    assert [each for each in ("max@", "4711", "xxx", "evil", "order_2026") if each in shown] == []
    assert {path for path, kind in told if kind == "unknown"} == {'"…"', "prénom", '"line item"', "@type"}
    assert {("email", "type"), ("orderId", "type"), ("prices.*", "type")} <= told


class Changed(Heard, type="order.changed"):
    many: int = 0
    line: Line | None = None

    @field_validator("many", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return int(value)


class Renamed(Heard, type="order.renamed"):
    new: int

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: Any) -> Any:
        return {"new": data["old"]} if "old" in data else data


def test_what_a_validator_gets_first_is_its_own() -> None:
    """RULES 16.1: a validator before the model may read anything; below it only unknown fields are told."""
    assert found({"many": "7"}, Changed) == {("line", "missing")}
    assert found({}, Changed) == {("many", "missing"), ("line", "missing")}
    assert found({"old": 7}, Renamed) == {("old", "unknown")}
    assert not [each for each in compare(Renamed, {"old": 7}) if each.holds]


class Orders(RootModel[list[Line]]):
    pass


@pytest.mark.parametrize("data", [None, [], [1], "text", 5, True, [[[]]], {"a": {"b": {"c": None}}}])
@pytest.mark.parametrize("model", [Placed, Orders, Tree, Open])
def test_any_json_is_judged(model: type[BaseModel], data: Any) -> None:
    """RULES 16.1: a body may be anything."""
    for each in compare(model, data):
        assert each.path
        assert each.kind in set(Kind)


def test_a_whole_that_is_no_object_is_named() -> None:
    """The whole is `$`."""
    assert found([1], Placed) == {("$", "type")}
    assert found([{"sku": "x", "many": "2"}], Orders) == {("[].many", "type")}


def test_one_look_is_bounded() -> None:
    """RULES 16.2: so many values and differences, whatever came; deep JSON of a model that holds itself ends too."""
    beyond = [{"sku": "x", "many": 1}] * MAX_VALUES + [{"sku": 1, "many": 1}]
    assert found({**WHOLE, "lines": beyond}) == set()
    assert found({**WHOLE, "lines": beyond[-1:]}) == {("lines[].sku", "type")}
    assert len(compare(Placed, {f"k{'abcdefghij'[n % 10]}{n}": 1 for n in range(5000)})) <= MAX_FINDINGS
    deep: dict[str, Any] = {"value": 1, "below": []}
    for _ in range(5_000):
        deep = {"value": 1, "below": [deep]}
    assert found({**WHOLE, "tree": deep}) == set()


class Line2(BaseModel):
    sku: str
    many: str = ""


def test_another_model_has_another_fingerprint() -> None:
    """RULES 16.3: a subscription that reads something else begins a baseline; the same one does not."""
    prints = {fingerprint_of(reads_of(each)) for each in (Line, Line2, Tree, Card, Iban, Strict, Open, Placed)}
    assert len(prints) == 8

    class Again(BaseModel):
        sku: str
        many: int = 7

    assert fingerprint_of(reads_of(Again)) == fingerprint_of(reads_of(Line))
