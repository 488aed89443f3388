"""Events of the log that wait: what arrives by its queue is not read a second time."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hocket.broker.port import Delivery, Handle
from hocket.outcome import Bury, Done, GiveBack, Outcome
from hocket.streams.waiting_events import WaitingEvent, WaitingEvents

NOW = datetime(2026, 11, 24, tzinfo=UTC)
QUEUE = "payments.charge"


def _delivery(message_id: str = "m-1", body: bytes = b"{}") -> Delivery:
    return Delivery("hocket.log", Handle(1, 1), body, message_id=message_id)


def _arrival(delivery: Delivery, outcome: Outcome | None, queue: str = QUEUE) -> Any:
    return SimpleNamespace(subscription=SimpleNamespace(queue=queue), delivery=delivery, outcome=outcome)


def _event(delivery: Delivery, since: float = 0.0, outcome: Outcome | None = None) -> WaitingEvent:
    runner: Any = SimpleNamespace(
        subscription=SimpleNamespace(queue=QUEUE), arrival_of=lambda delivery, now: _arrival(delivery, outcome)
    )
    return WaitingEvent(delivery, runner, 7, since, since)


@pytest.mark.parametrize(
    ("settled", "arrived"),
    [
        (_arrival(_delivery(), Done()), True),
        (_arrival(_delivery(), Bury("invalid", "", row=False)), True),
        (_arrival(_delivery(), GiveBack()), False),
        (_arrival(_delivery("m-2"), Done()), False),
        (_arrival(_delivery(body=b'{"a":1}'), Done()), False),
        (_arrival(_delivery(), Done(), queue="payments.refund"), False),
    ],
)
def test_the_same_message_has_arrived_when_its_ending_is_written(settled: Any, arrived: bool) -> None:
    """The same id with other bytes, another queue, or a delivery that was given back says nothing."""
    events = WaitingEvents()
    events.add(event := _event(_delivery()))
    events.settled([settled])
    assert event.arrived is arrived


def test_a_message_without_an_id_is_always_looked_for() -> None:
    """A foreign publisher may give none; two such messages are not the same."""
    events = WaitingEvents()
    events.add(event := _event(_delivery("")))
    events.settled([_arrival(_delivery(""), Done())])
    assert not event.arrived


def test_what_is_over_is_forgotten_and_the_rest_is_in_order() -> None:
    """Bytes are counted, the one that is due first stands in front, and nothing is kept of what is over."""
    events = WaitingEvents()
    late, over, early = (_event(_delivery(f"m-{n}"), since) for n, since in enumerate((3.0, 1.0, 2.0)))
    for each in (late, over, early):
        events.add(each)
    assert events.bytes == 6
    events.remove({over})
    assert [*events] == [early, late]
    assert events.bytes == 4
    events.settled([_arrival(_delivery("m-1"), Done())])
    assert not over.arrived
    events.clear()
    assert not events
    assert not events.bytes


def test_what_cannot_be_read_is_not_looked_for() -> None:
    """Its queue would only bury it."""
    assert _event(_delivery()).read(NOW)
    assert not _event(_delivery(), outcome=Bury("invalid", "", row=False)).read(NOW)
