"""Logs: one JSON object per line."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from hocket.outcome import Word
from hocket.telemetry.logs import LogsListener, configure
from hocket.telemetry.signals import Ended, Sent


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """Where the lines go; afterwards logging is reset."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("aiormq", "aiormq.connection", "aio_pika", "aiosqlite", "urllib3"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(stream: StringIO) -> list[dict[str, Any]]:
    """Every line, decoded."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def ended(word: Word) -> Ended:
    """An attempt whose error quotes a card number."""
    return Ended(
        "payments", "payments.charge", "order.placed", "1", "flow", 2, word, 1.0, 2.5, 0.5, "CardDeclined",
        "4111 1111 1111 1111 declined",
    )  # fmt: skip


def test_a_dead_letter_is_a_warning(stream: StringIO) -> None:
    """The line has what identifies the letter, and not the error text, which may quote a sensitive field."""
    configure("INFO", stream)
    LogsListener().attempts([ended(Word.HANDLED), ended(Word.RETRY), ended(Word.DEAD)])
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "dead letter", "level": "warning", "service": "payments", "subscription": "payments.charge",
        "type": "order.placed", "event_id": "1", "correlation_id": "flow", "attempt": 2, "outcome": "dead",
        "cause": "CardDeclined", "seconds": 1.5,
    }  # fmt: skip
    assert "4111" not in stream.getvalue()


def test_what_was_handled_is_debug(stream: StringIO) -> None:
    """A handled event is logged at DEBUG only."""
    configure("debug", stream)
    LogsListener().attempts([ended(Word.HANDLED)])
    (line,) = lines(stream)
    assert (line["level"], line["event"], line["outcome"]) == ("debug", "attempt ended", "handled")


def test_breaker_link_refusals_and_troubles(stream: StringIO) -> None:
    """Each has its level, and a trouble its details."""
    configure("INFO", stream)
    log = LogsListener()
    log.breaker("payments", "card-api", "open")
    log.breaker("payments", "card-api", "closed")
    log.link("payments", ready=False, reason="connection refused")
    log.link("payments", ready=True, reason="")
    log.published([Sent("payments", "event", "a", "confirmed", 1.0), Sent("payments", "event", "b", "refused", 1.0)])
    log.trouble("payments", "a lease expired", seconds=3, event="1")
    said = [(line["level"], line["event"]) for line in lines(stream)]
    assert said == [
        ("warning", "breaker changed"), ("info", "breaker changed"), ("warning", "link to the broker is down"),
        ("info", "link to the broker is up"), ("error", "not published"), ("warning", "a lease expired"),
    ]  # fmt: skip
    assert lines(stream)[-1]["about_event"] == "1"


def test_libraries_log_the_same_way(stream: StringIO) -> None:
    """What a library says is a JSON line too; what says too much is heard only when it matters."""
    configure("DEBUG", stream)
    logging.getLogger("some.library").info("hello %s", "world")
    logging.getLogger("aiormq.connection").warning("connection lost, as the link says already")
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("some.library").exception("failed")
    hello, failed = lines(stream)
    assert (hello["event"], hello["level"]) == ("hello world", "info")
    assert "KeyError" in failed["exception"]


def test_a_lost_connection_is_one_line_of_ours(stream: StringIO) -> None:
    """The client's warnings and tracebacks about it are not repeated; a fault of ours inside its callbacks is."""
    configure("INFO", stream)
    LogsListener().link("payments", False, "the connection to the broker at b:5672 was lost: reset by peer")
    wire = logging.getLogger("aiormq.connection")
    wire.warning("Cancelling cause reader exited abnormally", exc_info=ConnectionResetError())
    wire.error("Unexpected connection close from remote")
    logging.getLogger("aiormq.channel").error("Consumer callback failed")
    assert [line["event"] for line in lines(stream)] == ["link to the broker is down", "Consumer callback failed"]
