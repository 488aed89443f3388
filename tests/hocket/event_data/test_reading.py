"""What is read is exact or refused; what is not read is nobody's business."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from hocket import Heard
from hocket.envelope import CONTENT_TYPE, encode
from hocket.envelope import read as receive
from hocket.errors import Undecodable
from hocket.event_data.reading import read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "0.12345678901234567890"
BIG = 2**60 + 1


class Customer(BaseModel):
    """A part of an order."""

    name: str


class Order(Heard, type="order.placed"):
    """Reads some of the fields."""

    order_id: str
    customer: Customer | None = None
    number: int = 0
    amount: Decimal = Decimal(0)
    share: float = 0.0
    free: Any = None


class Strict(Heard, type="order.placed"):
    """Takes nothing but its types."""

    model_config = ConfigDict(strict=True)

    at: datetime
    wait: timedelta
    id: UUID
    share: float
    tags: set[Literal["a", "b"]]


def received(data: str) -> Any:
    """A foreign event with this data."""
    head = '{"specversion":"1.0","id":"1","source":"/x","type":"order.placed","data":'
    return receive(f"{head}{data}}}".encode(), CONTENT_TYPE, {}, NOW)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (f'{{"order_id":"1","unread":{BIG}}}', {}),
        (f'{{"order_id":"1","unread":{LONG}}}', {}),
        (
            f'{{"order_id":"1","customer":{{"name":"Ada","id":{BIG},"share":{LONG}}}}}',
            {"customer": Customer(name="Ada")},
        ),
        (f'{{"order_id":"1","number":{BIG}}}', {"number": BIG}),
        ('{"order_id":"1","number":590518626939830271}', {"number": 590518626939830271}),
        (f'{{"order_id":"1","number":{BIG}.0,"unread":{LONG}}}', {"number": BIG}),
        (f'{{"order_id":"1","amount":{BIG}}}', {"amount": Decimal(BIG)}),
        (f'{{"order_id":"1","free":[{BIG}]}}', {"free": [BIG]}),
        ('{"order_id":"1","amount":0.1,"unread":1e400}', {"amount": Decimal("0.1")}),
        ('{"order_id":"1","share":1e21}', {"share": 1e21}),
    ],
)
def test_a_long_number_is_read_exactly_or_not_at_all(data: str, expected: dict[str, Any]) -> None:
    """64-bit ids and long fractions in fields that nobody reads harm nobody; an integer is read with all its digits."""
    assert read(Order, received(data)) == Order(order_id="1", **expected)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (f'{{"order_id":"1","share":{LONG}}}', "data.share"),
        (f'{{"order_id":"1","share":{BIG}}}', "data.share"),
        (f'{{"order_id":"1","amount":{LONG}}}', "data.amount"),
        ('{"order_id":"1","amount":12345678901234567890.5}', "data.amount"),
        ('{"order_id":"1","amount":999999999999.999991234}', "data.amount"),
        (f'{{"order_id":"1","free":{{"a":[0,{LONG}]}}}}', "data.free.a.1"),
        ('{"order_id":"1","number":1.00000000000000000001}', "data.number"),
    ],
)
def test_a_number_that_would_be_changed_is_refused(data: str, place: str) -> None:
    """Where a field would hold a neighbour of what was written, the delivery is a letter that names the field."""
    with pytest.raises(Undecodable, match=f"{place}: has more digits than a double holds: .*say it as text"):
        read(Order, received(data))


def test_long_numbers_survive_another_encoding() -> None:
    """What is kept of a foreign event has all digits, however they were written."""
    one, other = received(f'{{"a":{LONG},"b":{BIG}}}'), received(f'{{"b": {BIG}.0, "a": 1234567890123456789E-19}}')
    assert one.data == other.data == b'{"a":1234567890123456789e-19,"b":1152921504606846977}'
    assert receive(encode(one.envelope, heard=True), CONTENT_TYPE, {}, NOW).data == one.data


def test_strict_models_read_json() -> None:
    """JSON has no moments, no UUIDs and no sets: a strict model takes their texts, and still no number for a text."""
    data = (
        '{"at":"2026-01-01T00:00:00Z","wait":"PT1S","id":"00000000-0000-0000-0000-000000000005","share":1,"tags":["a"]'
    )
    event = read(Strict, received(data + "}"))
    assert (event.at, event.wait, event.id, event.tags) == (NOW, timedelta(seconds=1), UUID(int=5), {"a"})
    with pytest.raises(ValidationError):
        read(Strict, received(data.replace('"PT1S"', "7").replace('"2026-01-01T00:00:00Z"', "7") + "}"))
