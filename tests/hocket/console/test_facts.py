"""What is a fact of the receipts stream and what is not."""

import pytest
from pydantic import ValidationError

from hocket.console.facts import Heartbeat, Manifest, Receipt, reported
from tests.services.tracer.sample_facts import MANIFESTS, happy


def test_every_kind_of_fact_is_understood() -> None:
    """Receipts, manifests and heartbeats of docs/wire.md#receipts; null means absent, what is unknown is left aside."""
    told = reported({**happy(1).receipts[0], "news": 1, "replay": None})
    assert isinstance(told, Receipt)
    assert (told.replay, told.step) == ("", "payments.charge")
    assert isinstance(reported(MANIFESTS[0]), Manifest)
    beat = reported(
        {"kind": "heartbeat", "service": "a", "time": "2026-11-24T14:05:00Z", "breakers": {"x": {"state": "open"}}}
    )
    assert isinstance(beat, Heartbeat)
    assert beat.breakers["x"].state == "open"


@pytest.mark.parametrize(
    "fact",
    [
        None, 1, [], {}, {"kind": "news"}, {"kind": ["receipt"]}, {"kind": "receipt"}, {"kind": "heartbeat"},
        {**happy(1).receipts[0], "outcome": "sideways"}, {**happy(1).receipts[0], "time": "yesterday"},
        {**happy(1).receipts[0], "time": "2026-11-24T14:05:00"}, {**happy(1).receipts[0], "attempt": "many"},
        {**happy(1).receipts[0], "subject": "x" * 2000}, {**happy(1).receipts[0], "said": "x"},
        {**happy(1).receipts[0], "attempt": 10**30}, {**happy(1).receipts[0], "said": ["x"] * 100_000},
        {**happy(1).receipts[0], "time": "0001-01-01T00:00:00+23:59"}, {**happy(1).receipts[0], "subject": "\ud800"},
        {**happy(1).receipts[0], "next_at": "9999-12-31T23:59:59-10:00"},
    ],
)  # fmt: skip
def test_what_is_no_fact_is_refused(fact: object) -> None:
    """Each thing that is no fact ends in a ValueError, never in anything else."""
    with pytest.raises(ValueError, match=r".+"):
        reported(fact)


def test_a_refusal_names_the_field() -> None:
    """The place of the mistake is known."""
    with pytest.raises(ValidationError) as raised:
        reported({**happy(1).receipts[0], "outcome": "sideways"})
    assert raised.value.errors()[0]["loc"] == ("outcome",)


@pytest.mark.parametrize(
    ("timer", "sentence"),
    [
        ({"state": "armed", "due": "2026-01-01T00:15:00Z"}, "arms a time-out, due 2026-01-01 00:15:00 UTC"),
        ({"state": "mark"}, "answers a time-out that is not armed yet"),
        ({"state": "met"}, "answers a time-out"),
        ({"state": "fired"}, "the time-out has fired"),
        ({"state": "fired", "late": 61.2, "as": "undone"}, "answers a time-out 61 s late, which is undone"),
        ({"state": "fired", "own": True}, "said by the time-out itself, no answer"),
        ({"state": "void"}, "the time-out was answered or armed again: its alarm is void"),
    ],
)
def test_what_an_attempt_did_to_a_time_out_is_told(timer: dict[str, object], sentence: str) -> None:
    """RULES 5.7: armed, answered, fired and late are shown with the attempt."""
    fact = {"kind": "receipt", "service": "shop", "subscription": "shop.unpaid", "outcome": "handled", "timer": timer}
    made = reported({**fact, "time": "2026-01-01T00:00:00Z"})
    assert isinstance(made, Receipt)
    assert made.timer is not None
    assert made.timer.sentence == sentence
