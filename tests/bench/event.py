"""The event of every figure: one order of about 600 bytes, the same bytes for hocket and for its peers."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from hocket import Event, Heard
from hocket.clock import SystemClock, rfc3339
from hocket.envelope import Envelope, encode
from hocket.envelope.ids import Ids

#: Type, version and routing key of the event that is measured.
TYPE = "order.placed"
ROUTING_KEY = "order.placed.v1"


class Line(BaseModel):
    """One line of an order."""

    sku: str
    quantity: int


class OrderPlaced(Event, type=TYPE, subject="order/{order_id}"):
    """The event as the service says it that owns it; `sent_ns` is the monotonic moment of its making."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class Placed(Heard, type=TYPE):
    """The same as a subscriber of hocket hears it."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class PlacedData(BaseModel):
    """The same as a peer reads it."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class PlacedEnvelope(BaseModel):
    """The whole body as a peer reads and writes it: an envelope with the attributes that hocket's has."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    specversion: str
    dataschema: str
    datacontenttype: str
    correlationid: str
    idempotencykey: str
    data: PlacedData


def order(number: int, sent_ns: int = 0) -> OrderPlaced:
    """The n-th order."""
    lines = [Line(sku="SKU-100234", quantity=2), Line(sku="SKU-1", quantity=1)]
    return OrderPlaced(order_id=f"{number:08d}", amount=129900, currency="EUR", sent_ns=sent_ns, lines=lines)


def bodies(count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` bodies with identities of their own, as hocket writes them."""
    ids, now = Ids(SystemClock(), random.Random(seed)), datetime.now(UTC)
    for number in range(count):
        id = ids.uuid7()
        yield encode(
            Envelope(
                id=id,
                source="/orders",
                type=TYPE,
                version=1,
                subject=f"order/{number:08d}",
                time=now + timedelta(microseconds=number),
                correlation_id=id,
                idempotency_key=id,
                data=order(number).model_dump(mode="json"),
            )
        )


def peers_event() -> PlacedEnvelope:
    """One event as a peer says it."""
    return PlacedEnvelope.model_validate_json(next(bodies(1)))


def renewed(envelope: PlacedEnvelope, ids: Ids, sent_ns: int) -> PlacedEnvelope:
    """A copy with an identity and a moment of its own."""
    id = ids.uuid7()
    data = envelope.data.model_copy(update={"sent_ns": sent_ns})
    return envelope.model_copy(update={"id": id, "idempotencykey": id, "correlationid": id, "data": data})


def as_json(envelope: PlacedEnvelope) -> bytes:
    """The body a peer sends."""
    return envelope.__pydantic_serializer__.to_json(envelope)


def plain(envelope: PlacedEnvelope) -> dict[str, object]:
    """The same as plain JSON values, for peers that write JSON themselves."""
    value: dict[str, object] = json.loads(as_json(envelope))
    value["time"] = rfc3339(envelope.time)
    return value
