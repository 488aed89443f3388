"""Reading a letter never fails, and its identity is the same each time."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.observe import Raw
from services.deadletters.read.letter import moment, read
from tests.services.deadletters.running_desk import dead, event, time

NAMES = (
    "hocket-death-id", "hocket-death-subscription", "hocket-death-cause", "hocket-death-error", "hocket-death-time",
    "hocket-death-attempt", "hocket-attempt", "hocket-death-spoke", "hocket-death-history", "hocket-death-headers",
    "hocket-replay", "x-death", "traceparent", "cloudEvents_id",
)  # fmt: skip
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.binary(max_size=200) | st.just(event(1)),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), values, max_size=8),
    st.text(max_size=30) | st.just("application/cloudevents+json"),
    st.text(max_size=30),
)
def test_no_letter_stops_the_desk(body: bytes, headers: dict[str, object], content_type: str, key: str) -> None:
    """Whatever stands on the dead-letter queue becomes a letter that can be stored; twice the same is one identity."""
    raw = Raw(body, headers, None, content_type, key)
    first = read(raw)
    assert first.body == body
    assert first.death_id
    assert first.attempt >= 1
    json.dumps(dict(first.headers))
    assert read(raw).death_id == first.death_id


@given(st.binary(max_size=100) | st.sampled_from([b"[1, {}, null]", b"{}", b"null", b"[" * 100_000]))
def test_no_message_stops_the_receipts(body: bytes) -> None:
    """What is no JSON array of objects is passed over."""


def test_foreign_headers_are_kept_whole() -> None:
    """RULES 8.4: what a replay sends with the body is not cut into text that is no JSON any more."""
    kept = json.dumps({f"tenant-{number}": "x" * 200 for number in range(35)})
    assert read(dead(1, death_headers=kept)).headers["hocket-death-headers"] == kept


def test_a_letter_of_the_kit_is_read_whole() -> None:
    """Cause, attempts, times and envelope, as docs/wire.md#dead-letters names them."""
    arrival = read(dead(1, 5, replay="r-1", death_spoke=1))
    assert (arrival.death_id, arrival.subscription, arrival.attempt) == ("letter-1", "crm.record_order", 5)
    assert (arrival.cause, arrival.error, arrival.time) == ("KeyError", "'region'", time(10.2))
    assert (arrival.replay, arrival.spoke, arrival.by_broker) == ("r-1", True, False)
    assert (arrival.about.type, arrival.about.correlation_id, arrival.about.version) == ("order.placed", "flow-1", 1)
    assert [run.attempt for run in arrival.history] == [3, 4, 5]


def test_the_identity_of_a_death_made_by_the_broker() -> None:
    """RULES 8.1: queue, body and first death; another body, queue or first death is another letter."""
    first = {"queue": "crm.record_order", "reason": "delivery_limit", "time": datetime(2026, 11, 10, tzinfo=UTC)}
    later = {**first, "reason": "rejected"}

    def id_of(body: bytes, *deaths: dict[str, object]) -> str:
        return read(Raw(body, {"x-death": list(deaths)}, None, "", "key")).death_id

    assert id_of(b"a", first) == id_of(b"a", later, first)
    others = {id_of(b"a", first), id_of(b"b", first), id_of(b"a", later), id_of(b"a", {**first, "queue": "x.y"})}
    assert len(others) == 4
    bare = read(Raw(b"a", {}, None, "", "crm.record_order"))
    assert (bare.subscription, bare.cause) == ("crm.record_order", "unknown")
    assert bare.death_id not in others


def test_moments_are_read_from_whatever_carries_them() -> None:
    """A time of AMQP, RFC 3339 text or seconds; anything else is none."""
    assert moment(datetime(2026, 11, 10, 13, 42, 5, tzinfo=UTC)) == time(5)
    assert moment("2026-11-10T14:42:05+01:00") == time(5)
    assert moment(datetime(2026, 11, 10, 13, 42, 5, tzinfo=UTC).timestamp()) == time(5)
    strange: list[object] = ["soon", None, 1e30, [], True, "0001-01-01T00:00:00+23:00"]
    assert [moment(each) for each in strange] == [""] * 6


@pytest.mark.parametrize("hostile", ["..", ".", "a/b", "x\\y", "", "\u202e", "a" * 10 + "?"])
def test_an_identity_that_cannot_be_addressed_is_replaced(hostile: str) -> None:
    """A letter can be reached at an address, whatever its publisher wrote into the header; twice it is the same."""
    made = read(dead(1, death_id=hostile)).death_id
    assert made == read(dead(1, death_id=hostile)).death_id
    assert made.isascii()
    assert not set("/\\?.") & set(made)
