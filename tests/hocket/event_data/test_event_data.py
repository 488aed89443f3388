"""What is said is what is heard, what the ledger keeps and what a replay reads: over models as teams write them."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from pydantic import ValidationError

from hocket import Event
from hocket.broker.port import Delivery, Handle
from hocket.clock import SystemClock
from hocket.declarations.answer import Answer, Place
from hocket.declarations.subscription import Subscription
from hocket.declarations.versions import upcast_paths
from hocket.delivery.arrival import Arrival
from hocket.delivery.decode import decode
from hocket.delivery.ending.dead_letter import body_of, letter
from hocket.envelope import encode, read
from hocket.envelope.ids import Ids
from hocket.errors import Unsayable
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.outcome import Bury
from hocket.retry import Retry
from hocket.store import row_codec
from hocket.store.records import OutboxRow
from hocket.telemetry.signals import Signals
from tests.hocket.event_data.generated_models import Made, events

CAUSE = Causation(("/x", "a.b", "k"), "s.h", "0198c5b8-0000-7000-8000-000000000001", event_id="e", attempt=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(event: Event) -> OutboxRow:
    """The outbox row of an event."""
    builder = OutboxBuilder("things", Ids(SystemClock(), random.Random(1)), SystemClock(), Signals(), 1 << 20)
    kind = type(event)
    [row] = builder.rows((event,), CAUSE, {(kind.__hocket_type__, kind.__hocket_version__): kind})
    return row


def arrival_of(model: type[Event], body: bytes, content_type: str, headers: Mapping[str, object]) -> Arrival:
    """A delivery of this body to a handler of this model, decoded."""

    async def handle(event: Event, tx: object) -> None: ...

    subscription = Subscription(
        service="things",
        name="handle",
        call=handle,
        heard=(model,),
        says=(),
        scheduled=(),
        answer=NOTHING,
        retry=Retry(),
    )
    subscription.upcast_paths = upcast_paths((model,), {})
    arrival = Arrival(Delivery("s.h", Handle(1, 1), body, content_type, headers), None, subscription, NOW)  # type: ignore[arg-type]  # nothing settles it
    decode(arrival)
    return arrival


#: What a handler annotated `-> None` may return.
NOTHING = Answer("None", Place(frozenset(), frozenset(), none=True), (), ())


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(events())
def test_what_is_said_is_what_is_heard(made: Made) -> None:
    """RULES 4.3: refused at import, or when it is said, or the same for hearer, ledger, letter and replay."""
    note(repr(made))
    if made.model is None:
        assert made.reason.startswith("Thing")
        return
    try:
        event = made.model.model_validate(made.values, by_name=True, by_alias=False)
    except ValidationError:
        return
    try:
        row = said(event)
    except Unsayable as refused:
        note(str(refused))
        return
    body = row.message.body
    kept = row_codec.outbox_row(row_codec.outbox_values(row, None, 0.0)).message.body
    [result] = row_codec.bytes_of(row_codec.text_of((body,)))
    arrival = arrival_of(made.model, body, row.message.content_type, row.message.headers)
    assert arrival.outcome is None, arrival.outcome
    dead = letter(arrival, Bury("x"), death="d", spoke=False, history=())
    assert kept == result == dead.body == body_of(arrival)[0] == encode(arrival.known, heard=True) == body
    replayed = arrival_of(made.model, dead.body, dead.content_type, dead.headers)
    assert arrival.event == replayed.event == event
    assert read(body, dead.content_type, {}, NOW).data == read(dead.body, dead.content_type, {}, NOW).data


def heard(model: type[Event], event: Event) -> Any:
    """An event as a handler hears it."""
    row = said(event)
    return arrival_of(model, row.message.body, row.message.content_type, {}).event
