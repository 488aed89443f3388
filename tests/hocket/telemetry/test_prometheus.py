"""Metrics: exactly the table of docs/wire.md."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from hocket.outcome import Word
from hocket.telemetry.prometheus import PrometheusListener
from hocket.telemetry.signals import BackfillSample, Ended, Pushed, Sample, Sent

WIRE = Path(__file__).parents[3] / "docs" / "wire.md"


@pytest.fixture
def metrics() -> PrometheusListener:
    """A listener with a registry of its own."""
    return PrometheusListener(CollectorRegistry())


def ended(word: Word, cause: str = "", subscription: str = "payments.charge") -> Ended:
    """An attempt of half a second on an event two seconds old."""
    return Ended("payments", subscription, "order.placed", "1", "flow", 1, word, 100.0, 100.5, 98.5, cause)


def value(metrics: PrometheusListener, name: str, **labels: str) -> float | None:
    """What one sample shows."""
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == {"service": "payments", **labels}:
                return sample.value
    return None


def every_moment(metrics: PrometheusListener) -> None:
    """Each moment once."""
    metrics.attempts([ended(Word.HANDLED)._replace(timer="armed"), ended(Word.DEAD, "ValueError")])
    metrics.published([Sent("payments", "event", "payment.charged", "confirmed", 0.1)])
    metrics.breaker("payments", "card-api", "open")
    metrics.link("payments", ready=True, reason="")
    backfills = {"payments.history": BackfillSample("reading", 1, 2, 3.0, None)}
    blocked, behind = {"payments.charge": (1, 2.0)}, {"payments.view~1": 4.0}
    in_hand = {"payments.charge": 7}
    metrics.sampled(
        Sample("payments", 1, 2, 3, 4, 5.0, in_hand, 2, behind=behind, blocked=blocked, backfills=backfills)
    )
    metrics.drifted("payments", "payments.charge", "order.placed", "unknown", 3)
    metrics.command("payments", "POST /payments", "first")
    metrics.trouble("payments", "a lease expired", seconds=3)
    metrics.pushed(Pushed("payments", "stripe", "said", 1, 0.5))
    metrics.webhooks_kept("payments", {"stripe": 2})


def test_the_names_and_labels_of_the_docs(metrics: PrometheusListener) -> None:
    """The page has the metrics of docs/wire.md with their labels, and no others."""
    table = WIRE.read_text().split("## Metrics")[1]
    promised = {}
    for line in table.splitlines():
        if named := re.match(r"\| `(hocket_\w+)`[^|]*\| ([^|]+) \|", line):
            promised[named[1]] = set(re.sub(r"\([^)]*\)", "", named[2]).replace(" ", "").split(","))
    every_moment(metrics)
    shown: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown[name] = set().union(*(sample.labels for sample in family.samples)) - {"le"}
    assert shown == promised
    assert len(promised) == 28


def test_attempts_are_counted_by_outcome(metrics: PrometheusListener) -> None:
    """Groups are added up; a dead letter is also counted by its cause."""
    metrics.attempts([ended(Word.HANDLED), ended(Word.HANDLED), ended(Word.DEAD, "ValueError")])
    metrics.attempts([ended(Word.HANDLED)])
    where = {"subscription": "payments.charge"}
    assert value(metrics, "hocket_attempts_total", outcome="handled", **where) == 3
    assert value(metrics, "hocket_attempts_total", outcome="dead", **where) == 1
    assert value(metrics, "hocket_dead_letters_total", cause="ValueError", asks="", **where) == 1


def test_time_outs_are_counted_by_what_became_of_them(metrics: PrometheusListener) -> None:
    """Fired and late ones are told apart; what is armed and how late the oldest is called comes with the sample."""
    metrics.attempts([ended(Word.HANDLED)._replace(timer=word) for word in ("armed", "armed", "fired", "late")])
    metrics.sampled(
        Sample("payments", 0, 0, 0, 0, 0.0, timers_armed=2, timers_late=1.5, blocked={"payments.charge": (3, 7.5)})
    )
    where = {"subscription": "payments.charge"}
    assert value(metrics, "hocket_timers_total", what="armed", **where) == 2
    assert value(metrics, "hocket_timers_total", what="late", **where) == 1
    assert value(metrics, "hocket_timers_armed") == 2
    assert value(metrics, "hocket_timers_due_seconds") == 1.5


def test_only_runs_are_timed_and_only_the_handled_have_an_age(metrics: PrometheusListener) -> None:
    """A duplicate did not run, so it has no time; a failed attempt has no event age."""
    metrics.attempts([ended(Word.HANDLED), ended(Word.RETRY, "ValueError"), ended(Word.DUPLICATE)])
    where = {"subscription": "payments.charge"}
    assert value(metrics, "hocket_handle_seconds_count", **where) == 2
    assert value(metrics, "hocket_handle_seconds_sum", **where) == 1.0
    assert value(metrics, "hocket_event_age_seconds_count", **where) == 1
    assert value(metrics, "hocket_event_age_seconds_sum", **where) == 2.0


def test_answers_of_the_broker(metrics: PrometheusListener) -> None:
    """Each verdict and how long it took."""
    metrics.published(
        [Sent("payments", "event", "a", "confirmed", 0.5), Sent("payments", "event", "b", "refused", 1.0)]
    )
    assert value(metrics, "hocket_published_total", kind="event", verdict="confirmed") == 1
    assert value(metrics, "hocket_published_total", kind="event", verdict="refused") == 1
    assert value(metrics, "hocket_publish_wait_seconds_sum", kind="event") == 1.5


@pytest.mark.parametrize(("state", "number"), [("closed", 0), ("half-open", 1), ("open", 2)])
def test_breakers(metrics: PrometheusListener, state: str, number: int) -> None:
    """0 closed, 1 half-open, 2 open."""
    metrics.breaker("payments", "card-api", state)
    assert value(metrics, "hocket_breaker_state", breaker="card-api") == number


def test_what_waits(metrics: PrometheusListener) -> None:
    """Gauges follow the last sample; a subscription without deliveries in progress is 0; shed receipts count once."""
    metrics.sampled(
        Sample("payments", 1, 2, 3, 4, 5.0, {"payments.charge": 7}, 2, blocked={"payments.charge": (1, 2.0)})
    )
    metrics.sampled(Sample("payments", 10, 20, 30, 40, 50.0, {}, 5))
    waiting = {kind: value(metrics, "hocket_outbox_waiting", kind=kind) for kind in ("events", "receipts", "later")}
    assert waiting == {"events": 10, "receipts": 20, "later": 30}
    assert value(metrics, "hocket_outbox_waiting", kind="refused") == 40
    assert value(metrics, "hocket_outbox_oldest_seconds") == 50
    assert value(metrics, "hocket_in_hand", subscription="payments.charge") == 0
    assert value(metrics, "hocket_receipts_shed_total") == 5


def test_link_and_troubles(metrics: PrometheusListener) -> None:
    """The link is a gauge; a trouble is counted by its text."""
    metrics.link("payments", ready=True, reason="")
    assert value(metrics, "hocket_link_up") == 1
    metrics.link("payments", ready=False, reason="gone")
    assert value(metrics, "hocket_link_up") == 0
    metrics.command("payments", "POST /payments", "first")
    metrics.trouble("payments", "a lease expired", seconds=3)
    metrics.command("payments", "POST /payments", "first")
    metrics.trouble("payments", "a lease expired", seconds=4)
    assert value(metrics, "hocket_troubles_total", what="a lease expired") == 2


WORDS = st.builds(
    Ended,
    st.just("payments"),
    st.sampled_from(["payments.charge", "payments.refund"]),
    *(st.just("") for _ in range(3)),
    st.just(1),
    st.sampled_from(list(Word)),
    *(st.integers(0, 64).map(float) for _ in range(3)),  # sums of them are exact in any order
    cause=st.sampled_from(["timeout", "ValueError"]),
    timer=st.sampled_from(["", "armed", "late"]),
    asks=st.sampled_from(["", "zombie"]),
)


@given(st.lists(WORDS, max_size=20))
def test_a_group_counts_as_its_attempts_do(attempts: list[Ended]) -> None:
    """Told at once or one by one, also where a clock was put back."""
    together, one_by_one = (PrometheusListener(CollectorRegistry()) for _ in range(2))
    together.attempts(attempts)
    for each in attempts:
        one_by_one.attempts([each])
    assert sorted(together.text().splitlines()) == sorted(one_by_one.text().splitlines())


def test_how_a_backfill_goes_on(metrics: PrometheusListener) -> None:
    """RULES 7.5 g: phase, place, the log's end and the rate of each subscription that hears history."""
    backfills = {"payments.history": BackfillSample("reading", 70, 100, 12.5, 2.4)}
    metrics.sampled(Sample("payments", 0, 0, 0, 0, 0.0, backfills=backfills))
    where = {"subscription": "payments.history"}
    assert value(metrics, "hocket_backfill_phase", **where) == 1
    assert value(metrics, "hocket_backfill_offset", what="next", **where) == 70
    assert value(metrics, "hocket_backfill_offset", what="end", **where) == 100
    assert value(metrics, "hocket_backfill_messages_per_second", **where) == 12.5


def test_a_generation_that_is_dropped_is_shown_no_more(metrics: PrometheusListener) -> None:
    """RULES 14.4: each generation has its lag; what a dropped one showed last, of its history too, does not stay."""
    backfills = {"payments.view~1": BackfillSample("reading", 70, 100, 12.5, 2.4)}
    behind = {"payments.view~1": 7.5, "payments.view~2": 60.0}
    metrics.sampled(Sample("payments", 0, 0, 0, 0, 0.0, behind=behind, backfills=backfills))
    metrics.sampled(Sample("payments", 0, 0, 0, 0, 0.0, behind={"payments.view~2": 2.0}))
    assert value(metrics, "hocket_projection_lag_seconds", subscription="payments.view~2") == 2
    assert b"payments.view~1" not in metrics.text()
    metrics.sampled(Sample("payments", 0, 0, 0, 0, 0.0, behind=behind))
    assert value(metrics, "hocket_projection_lag_seconds", subscription="payments.view~1") == 7.5
