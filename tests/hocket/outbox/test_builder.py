"""From what was said to outbox rows."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from hocket import Event, Scheduled
from hocket.clock import SystemClock
from hocket.envelope import CONTENT_TYPE, UNDO_TYPE, Json, decode
from hocket.envelope.ids import Ids
from hocket.envelope.keys import derived_key
from hocket.errors import Undecodable, Unsayable
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.saga import UndoOrder
from hocket.store.records import RowKind
from hocket.telemetry.signals import Signals
from tests.hocket.sample_services import FLOW, Cracked, Echoed

CAUSE = Causation(("/x", "bell.rung", "k"), "bells.ring", FLOW, event_id="e", attempt=2)
ALLOWED: dict[tuple[str, int], type[Event]] = {("bell.echoed", 1): Echoed}


def builder(most: int = 1000) -> OutboxBuilder:
    """Of the service bells."""
    clock = SystemClock()
    return OutboxBuilder("bells", Ids(clock, random.Random(1)), clock, Signals(), most)


def test_an_event_becomes_a_row_of_its_subject() -> None:
    """docs/wire.md#envelope: source, routing key, flow, cause; the header says which attempt of the cause said it."""
    [row] = builder().rows((Echoed(name="a"),), CAUSE, ALLOWED)
    envelope = decode(row.message.body, row.message.content_type, {}, datetime.now(UTC))
    assert (row.kind, row.subject, row.message.routing_key) == (RowKind.EVENT, "bell/a", "bell.echoed.v1")
    assert (envelope.source, envelope.correlation_id, envelope.causation_id) == ("/bells", FLOW, "e")
    assert row.message.headers["hocket-cause-attempt"] == 2


def test_what_is_scheduled_has_the_time_at_which_it_is_due() -> None:
    """RULES 4.5: id and key are given now and are what leaves then; `time` is the moment at which it is due."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    [row] = builder().rows((Scheduled(Echoed(name="a"), at=at, key="k"),), CAUSE, ALLOWED)
    envelope = decode(row.message.body, row.message.content_type, {}, datetime.now(UTC))
    assert (row.kind, row.due, row.schedule, envelope.time) == (
        RowKind.SCHEDULED, at.timestamp(), "bell.echoed k", at,
    )  # fmt: skip
    assert (envelope.id, envelope.idempotency_key) == (row.event_id, key_of("bell.echoed", 0))


def key_of(type_: str, ordinal: int) -> str:
    """The key of what `CAUSE` says."""
    assert CAUSE.identity is not None
    return derived_key(CAUSE.identity, CAUSE.subscription, type_, ordinal, FLOW)


def test_ordinals_count_within_their_type() -> None:
    """RULES 2.3: what is said of another type between two changes no key, and the way of saying it neither."""
    said = (Echoed(name="a"), Cracked(name="a", why="x"), Scheduled(Echoed(name="b"), at=datetime.now(UTC), key="k"))
    rows = builder().rows(said, CAUSE, ALLOWED | {("bell.cracked", 1): Cracked})
    now = datetime.now(UTC)
    keys = [decode(row.message.body, row.message.content_type, {}, now).idempotency_key for row in rows]
    assert keys == [key_of("bell.echoed", 0), key_of("bell.cracked", 0), key_of("bell.echoed", 1)]


def test_what_must_not_leave_is_refused() -> None:
    """RULES 4.3: undeclared or too big: the sentence names who says what, size and bound, and the way out."""
    with pytest.raises(Unsayable, match=r"bells\.ring says bell\.cracked version 1, which it does not declare"):
        builder().rows((Cracked(name="a", why="x"),), CAUSE, ALLOWED)
    with pytest.raises(Unsayable, match=r"has 784 bytes and the bound is 500: .*raise HOCKET_MAX_EVENT_BYTES"):
        builder(500).rows((Echoed(name="a" * 200),), CAUSE, ALLOWED)
    with pytest.raises(OverflowError):
        builder().rows((Scheduled(Echoed(name="a"), after=timedelta.max, key="k"),), CAUSE, ALLOWED)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a" * 300, "is longer than 255 bytes"),
        ("ä" * 126, "is longer than 255 bytes"),
        ("a\nb", "has a control character"),
        ("a\x85b", "has a control character"),
        ("a\ufdd0", "has a control character"),
        ("a\U0001fffe", "has a control character"),
        ("a\u3000b\u00a0c\u200dd", ""),
        ("👩\u200d🚀", ""),
    ],
)
def test_a_subject_is_refused_when_said_as_when_read(name: str, fault: str) -> None:
    """RULES 4.3: one rule, that of CloudEvents: odd spaces and joiners pass, what is no character does not."""
    head = {"specversion": "1.0", "id": "1", "source": "/x", "type": "bell.rung", "subject": f"bell/{name}"}
    if not fault:
        [row] = builder().rows((Echoed(name=name),), CAUSE, ALLOWED)
        assert decode(row.message.body, row.message.content_type, {}, datetime.now(UTC)).subject == f"bell/{name}"
        assert decode(json.dumps(head).encode(), CONTENT_TYPE, {}, datetime.now(UTC)).subject == f"bell/{name}"
        return
    with pytest.raises(Unsayable, match=f"bell.echoed: its subject {fault}"):
        builder().rows((Echoed(name=name),), CAUSE, ALLOWED)
    with pytest.raises(Undecodable, match=f"subject: {fault}"):
        decode(json.dumps(head).encode(), CONTENT_TYPE, {}, datetime.now(UTC))


def test_an_undo_is_never_too_big() -> None:
    """RULES 5.4: it holds a failure that was small enough itself."""
    small = builder(1000)
    [row] = small.rows((Echoed(name="a" * 100),), CAUSE, ALLOWED)
    failure = decode(row.message.body, row.message.content_type, {}, datetime.now(UTC))
    why: dict[str, Json] = {"id": failure.id, "data": {"text": "x" * 990}}
    undo = small.undo(UndoOrder("run", 1, b"", "flow"), "bells.hush", why, failure)
    assert len(undo.message.body) > 1000
    assert (undo.message.exchange, undo.message.routing_key, undo.message.type) == ("bells", "bells.hush", UNDO_TYPE)
