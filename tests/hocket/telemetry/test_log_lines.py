"""The lines of the kit's own moments: what is said, how loud, and how often."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from hocket.outcome import Word
from hocket.telemetry.log_lines import RETRY_LINES, RETRY_SECONDS, TROUBLE_SECONDS, LogsListener
from hocket.telemetry.logs import configure
from hocket.telemetry.signals import Ended, Processing, Sent, Signals


class Clock:
    """A monotonic clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """See `Clock`."""
    return Clock()


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What is logged at INFO and above."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as found:
        yield found
    structlog.reset_defaults()


def ended(word: Word, subscription: str = "payments.charge") -> Ended:
    """An attempt that failed."""
    return Ended(
        "payments", subscription, "order.placed", "1", "flow", 2, word, 1.0, 2.5, 0.5, "CardDeclined",
        "CardDeclined: no", "Traceback", "order/4711", 6.5 if word is Word.RETRY else None,
        letter="0199c2f5" if word is Word.DEAD else "",
    )  # fmt: skip


def test_a_dead_letter_and_a_failed_attempt_are_warnings(lines: list[Any], clock: Clock) -> None:
    """Each has what identifies the delivery, and the error as its receipt has it; what was handled is no line."""
    log = LogsListener(monotonic=clock)
    log.attempts([ended(Word.HANDLED), ended(Word.RETRY), ended(Word.DEFERRED), ended(Word.DEAD)])
    about = {
        "log_level": "warning", "service": "payments", "subscription": "payments.charge", "type": "order.placed",
        "event_id": "1", "correlation_id": "flow", "subject": "order/4711", "attempt": 2, "cause": "CardDeclined",
        "error": "CardDeclined: no", "seconds": 1.5,
    }  # fmt: skip
    assert lines == [
        {"event": "attempt failed", "outcome": "retry", "again_in_seconds": 6.5, **about},
        {"event": "dead letter", "outcome": "dead", "letter": "0199c2f5", **about},
    ]


def test_for_a_developer_the_stack_is_shown(lines: list[Any]) -> None:
    """At a terminal alone."""
    LogsListener(traces=True).attempts([ended(Word.RETRY)])
    assert lines[0]["exception"] == "Traceback"


def test_thousands_of_failed_attempts_are_a_bounded_number_of_lines(lines: list[Any], clock: Clock) -> None:
    """`RETRY_LINES` a subscription in `RETRY_SECONDS`; then a line says how many were not shown."""
    log = LogsListener(monotonic=clock)
    log.attempts([ended(Word.RETRY)] * 5000)
    log.attempts([ended(Word.RETRY, "payments.other")])
    assert len(lines) == RETRY_LINES + 1
    clock.now += RETRY_SECONDS
    log.attempts([ended(Word.RETRY)])
    assert lines[-1]["not_shown"] == 5000 - RETRY_LINES


def test_a_breaker_is_said_when_it_opens_and_when_it_has_closed(lines: list[Any], clock: Clock) -> None:
    """Not at the start, and not each of the probes of a night; the line names what failed."""
    log = LogsListener(monotonic=clock)
    log.breaker("payments", "card-api", "closed")
    for _ in range(1000):
        log.breaker("payments", "card-api", "open", "5 failures in a row, the last by TimeoutError")
        log.breaker("payments", "card-api", "half-open", "the period is over")
    clock.now += 60
    log.breaker("payments", "card-api", "closed")
    about = {"service": "payments", "breaker": "card-api"}
    assert lines == [
        {
            "event": "breaker opened: its calls are refused and wait",
            "log_level": "warning",
            **about,
            "state": "open",
            "reason": "5 failures in a row, the last by TimeoutError",
        },
        {"event": "breaker closed again", "log_level": "info", "after_seconds": 60.0, **about},
    ]


def test_a_trouble_that_repeats_is_a_line_a_minute(lines: list[Any], clock: Clock) -> None:
    """The next line says how many there were; another queue is another trouble; what readiness says is no line."""
    log = LogsListener(monotonic=clock)
    for number in range(40):
        log.trouble("payments", "a lease expired", seconds=number, event="1")
    log.trouble("payments", "a former queue was removed", queue="a")
    log.trouble("payments", "a former queue was removed", queue="b")
    log.trouble("payments", "the store does not answer", reason="x")
    clock.now += TROUBLE_SECONDS
    log.trouble("payments", "a lease expired", seconds=3)
    assert [line["event"] for line in lines] == [
        "a lease expired", "a former queue was removed", "a former queue was removed", "a lease expired",
    ]  # fmt: skip
    assert lines[0]["about_event"] == "1"
    assert lines[-1]["not_shown"] == 39


def test_link_readiness_and_refusals(lines: list[Any], clock: Clock) -> None:
    """Each has its level; a link that was not tried yet is no line."""
    log = LogsListener(monotonic=clock)
    log.link("payments", False, "")
    log.link("payments", False, "connection refused")
    clock.now += 5
    log.link("payments", True, "rabbit:5672")
    log.readiness("payments", "the database is away")
    log.readiness("payments", "")
    log.published([Sent("payments", "event", "a", "confirmed", 1.0), Sent("payments", "event", "b", "refused", 1.0)])
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "link to the broker is down"), ("info", "link to the broker is up"), ("warning", "not ready"),
        ("info", "ready"), ("error", "not published"),
    ]  # fmt: skip
    assert (lines[1]["broker"], lines[1]["after_seconds"]) == ("rabbit:5672", 5)


def test_a_line_about_the_service_is_not_about_the_delivery_that_was_under_way(clock: Clock) -> None:
    """A breaker opens during some run; its line does not say that run's event."""
    out, root = StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("INFO", out, "json")
    root.handlers[:], root.level = handlers, level
    log = LogsListener(monotonic=clock)
    with Signals().around(Processing("payments", "payments.charge", "order.placed", "1", "flow", 2, "")):
        log.breaker("payments", "card-api", "open")
        log.trouble("payments", "a lease expired")
        structlog.get_logger("team").warning("mine")
    breaker, trouble, mine = (json.loads(line) for line in out.getvalue().splitlines())
    assert list(breaker) == ["time", "level", "event", "service", "breaker", "state", "reason"]
    assert list(trouble) == ["time", "level", "event", "service"]
    assert mine["event_id"] == "1"


def test_a_failure_that_found_no_run_is_told(lines: list[Any], clock: Clock) -> None:
    """RULES 5.3: once each, within a bound, with what it was about; one that found its run is no line."""
    log = LogsListener(monotonic=clock)
    missed = ended(Word.HANDLED)._replace(reached=False, cause="", error="")
    log.attempts([missed, ended(Word.HANDLED)])
    [line] = lines
    assert (line["log_level"], line["event"]) == ("info", "a failure found no step run to undo")
    assert (line["subscription"], line["event_id"], line["correlation_id"]) == ("payments.charge", "1", "flow")
    log.attempts([missed] * 5000)
    assert len(lines) == RETRY_LINES
    clock.now += RETRY_SECONDS
    log.attempts([missed])
    assert lines[-1]["not_shown"] == 5001 - RETRY_LINES
