"""What is said can be read again, or is refused without showing a value."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from math import inf, nan
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import AfterValidator, AliasPath, BaseModel, ConfigDict, Field

from hocket import Event, Heard, Scheduled
from hocket.errors import Unsayable
from hocket.event import data_of
from hocket.event_data.saying import heard_data_of


class Customer(BaseModel):
    """A part of an order."""

    name: str


class Member(Customer):
    """More than the order declares."""

    discount: int


class Card(Enum):
    """Its text is not its value."""

    BLUE = "blue"


class Order(Event, type="order.placed", subject="order/{order_id}/{card}"):
    """Every field is of a type that is read again as it was."""

    order_id: UUID
    card: Card
    coupon: str | None = Field(default=None, alias="couponCode")
    at: datetime | None = None
    total: Decimal = 0  # type: ignore[assignment]  # as teams write it
    share: float = 0.5
    customers: list[Customer] = Field(default_factory=list)


class Loose(Event, type="loose.said", subject="loose"):
    """Fields that take anything, or change what they get."""

    free: Any = None
    grown: Annotated[int, AfterValidator(lambda value: value + 1)] = 0
    inner: dict[str, float] = Field(default_factory=dict)


ORDER = Order(order_id=UUID(int=5), card=Card.BLUE, couponCode="SAVE10")


def test_the_wire_has_aliases() -> None:
    """A field is said under its alias; the default of a field is of the field's type; the subject has values."""
    assert data_of(ORDER)["couponCode"] == "SAVE10"
    assert "coupon" not in data_of(ORDER)
    assert data_of(ORDER)["total"] == "0"
    assert ORDER.subject_of() == f"order/{UUID(int=5)}/blue"
    assert Order.__hocket_fits__ is not None
    assert Loose.__hocket_fits__ is None


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (ORDER.model_copy(update={"order_id": "4711-secret"}), r"Order\.order_id|order_id \(uuid_parsing\)"),
        (ORDER.model_copy(update={"customers": [Member(name="Ada", discount=3)]}), r"Order\.customers would be heard"),
        (ORDER.model_copy(update={"total": object()}), r"Order cannot be written as JSON"),
        (ORDER.model_copy(update={"coupon": 7}), r"couponCode \(string_type\)"),
        (Loose(free=UUID(int=1)), r"Loose\.free would be heard as another value"),
        (Loose(free=(1, 2)), r"Loose\.free would be heard as another value"),
        (Loose(free=[inf]), "data has an infinity or NaN"),
        (Loose(inner={"a": nan}), "data has an infinity or NaN"),
        (Loose(free=2**53), "data has a whole number beyond 9007199254740991, .*: say it as text"),
        (Loose(grown=1), r"Loose\.grown would be heard as another value"),
    ],
)
def test_what_would_be_heard_otherwise_is_refused(event: Event, sentence: str) -> None:
    """RULES 4.3: an unchecked copy, a subclass in a field, what JSON changes; the sentence names the field alone."""
    with pytest.raises(Unsayable, match=sentence) as refused:
        data_of(event)
    assert "secret" not in str(refused.value)


def test_a_repeated_hour_may_be_said() -> None:
    """In the hour that a clock runs twice, Python holds equal moments of two zones for different ones (PEP 495)."""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert data_of(ORDER.model_copy(update={"at": twice, "share": 1}))["at"] == "2026-10-25T02:30:00+01:00"


def test_a_scheduled_event_is_checked_too() -> None:
    """It is the same event, later."""
    with pytest.raises(Unsayable):
        data_of(Scheduled(Loose(grown=1), at=datetime(2030, 1, 1, tzinfo=UTC), key="k").event)


class Foreign(Heard, type="com.example.Placed"):
    """What another team's service writes in camel case."""

    model_config = ConfigDict(populate_by_name=True)

    order_id: str = Field(validation_alias="orderId")
    city: str = Field(validation_alias=AliasPath("address", "city"))
    big: int = 0


def test_a_foreign_event_is_written_as_its_publisher_writes_it() -> None:
    """For `play.hear`: under the names that the model reads, with numbers that only foreigners say."""
    event = Foreign(order_id="1", city="Ulm", big=2**60)
    assert heard_data_of(event) == {"orderId": "1", "address": {"city": "Ulm"}, "big": 2**60}
