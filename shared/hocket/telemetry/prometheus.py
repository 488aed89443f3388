"""Metrics for Prometheus: exactly those of docs/wire.md#metrics, counted in groups."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener, Pushed, Sample, Sent

#: Content type of `PrometheusListener.text`.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Upper bounds of the histograms, in seconds: a handler's run, an event's age, a row's wait for the broker.
HANDLE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
AGE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 3600.0, 86400.0)
WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
#: The same for the skew of webhooks.
SKEW_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_STATES = {"closed": 0, "half-open": 1, "open": 2, "held": 3}
_WORK = ("service", "subscription")
_SENT = ("service", "kind")
_PUSH = ("service", "source")
_END = ("service", "subscription", "what")
_PHASES = {"live": 0, "reading": 1, "paused": 2, "failed": 3}
_RAN = frozenset({Word.HANDLED, Word.RETRY, Word.DEFERRED, Word.DEAD})
_WAITING = ("events", "receipts", "later", "refused")


M = TypeVar("M", Counter, Gauge)


class _Family(Generic[M]):
    """A metric and a cache of its children by their labels."""

    def __init__(self, metric: M) -> None:
        self._metric: M = metric
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *labels: str) -> M:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def keep(self, service: str, subscriptions: Collection[str]) -> None:
        """Show nothing more of the service's other subscriptions: what has ended is not as it was last."""
        ended = [each for each in self._children if each[0] == service and each[1] not in subscriptions]
        for labels in ended:
            del self._children[labels]
            self._metric.remove(*labels)


class _Histogram(Collector):
    """A histogram that finds its bucket by bisection, without the lock and the linear search of the library's."""

    def __init__(
        self, name: str, sentence: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._sentence, self._labels, self._bounds = name, sentence, labels, bounds
        self._children: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        registry.register(self)

    def observe(self, labels: tuple[str, ...], values: Sequence[float]) -> None:
        """Count these values; a negative one, by a clock that was put back, as 0."""
        if not values:
            return
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        counts, bounds, total = child[0], self._bounds, 0.0
        for value in values:
            if value <= 0.0:
                counts[0] += 1
                continue
            counts[bisect_left(bounds, value)] += 1
            total += value
        child[1][0] += total

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """All values so far."""
        family = HistogramMetricFamily(self._name, self._sentence, labels=self._labels)
        texts = [*map(repr, self._bounds), "+Inf"]
        for labels, (counts, total) in list(self._children.items()):
            family.add_metric(labels, list(zip(texts, accumulate(counts), strict=True)), total[0])
        yield family


class PrometheusListener(Listener):
    """Counts every moment in `registry`; `text` is the page /metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._registry = registry
        self._attempts = self._counter("hocket_attempts", "Attempts that have ended, by outcome.", *_WORK, "outcome")
        self._dead = self._counter("hocket_dead_letters", "Deliveries given up, by cause.", *_WORK, "cause", "asks")
        self._published = self._counter("hocket_published", "The broker's answers to outbox rows.", *_SENT, "verdict")
        self._shed = self._counter("hocket_receipts_shed", "Receipts dropped at their bound.", "service")
        self._troubles = self._counter(
            "hocket_troubles", "Faults that were recovered from, and what was given up.", "service", "what"
        )
        self._commands = self._counter("hocket_commands", "Requests of commands.", "service", "route", "end")
        self._handle = self._histogram(
            "hocket_handle_seconds", "Seconds that one run of a handler took.", _WORK, HANDLE_BUCKETS
        )
        self._age = self._histogram(
            "hocket_event_age_seconds", "Age of an event when it was handled.", _WORK, AGE_BUCKETS
        )
        self._wait = self._histogram(
            "hocket_publish_wait_seconds", "Seconds from due to the broker's answer.", _SENT, WAIT_BUCKETS
        )
        self._waiting = self._gauge("hocket_outbox_waiting", "Rows that wait in the outbox.", *_SENT)
        self._oldest = self._gauge("hocket_outbox_oldest_seconds", "Age of the oldest due row.", "service")
        self._breaker = self._gauge(
            "hocket_breaker_state", "0 closed, 1 half-open, 2 open, 3 held by a person.", "service", "breaker"
        )
        self._link = self._gauge("hocket_link_up", "1 while the broker is reachable.", "service")
        self._behind = self._gauge("hocket_projection_lag_seconds", "How far a generation is behind.", *_WORK)
        self._in_hand = self._gauge("hocket_in_hand", "Deliveries taken and not yet settled.", *_WORK)
        self._timers = self._counter("hocket_timers", "What became of time-outs.", *_WORK, "what")
        self._drift = self._counter("hocket_drift", "Differences from what is read.", *_WORK, "type", "kind")
        self._armed = self._gauge("hocket_timers_armed", "Time-outs that are armed.", "service")
        self._overdue = self._gauge("hocket_timers_due_seconds", "Age of the oldest due time-out.", "service")
        self._pushes = self._counter("hocket_webhooks", "Pushes of webhooks, by how they ended.", *_PUSH, "end")
        self._secrets = self._counter(
            "hocket_webhook_secrets", "By which secret pushes were signed.", *_PUSH, "position"
        )
        self._skew = self._histogram(
            "hocket_webhook_skew_seconds", "Seconds between signed timestamp and receipt.", _PUSH, SKEW_BUCKETS
        )
        self._kept = self._gauge("hocket_webhooks_kept", "Webhooks that wait for a person.", *_PUSH)
        self._blocked = self._gauge("hocket_blocked_subjects", "Subjects that wait behind a dead head.", *_WORK)
        self._blocked_age = self._gauge("hocket_blocked_oldest_seconds", "How long the oldest has waited.", *_WORK)
        self._backfill = self._gauge("hocket_backfill_phase", "0 live, 1 reading, 2 paused, 3 failed.", *_WORK)
        self._read = self._gauge("hocket_backfill_offset", "Up to where history is finished, and the log's end.", *_END)
        self._rate = self._gauge("hocket_backfill_messages_per_second", "Messages of the log that it passes.", *_WORK)
        self._held: dict[str, set[str]] = {}  # subscriptions seen with deliveries in progress, by service
        self._shed_so_far: dict[str, int] = {}

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Count outcomes and causes; observe the time of runs, and the age of handled events."""
        groups: dict[tuple[str, str, Word], list[Ended]] = {}
        for each in ended:
            labels = (each.service, each.subscription, each.word)
            if (group := groups.get(labels)) is None:
                group = groups[labels] = []
            group.append(each)
        for (service, subscription, word), some in groups.items():
            self._attempts.of(service, subscription, word).inc(len(some))
            if word in _RAN:
                self._handle.observe((service, subscription), [each.ended - each.began for each in some])
            if word is Word.HANDLED:
                self._age.observe((service, subscription), [each.ended - each.said_at for each in some])
            elif word is Word.DEAD:
                for each in some:
                    self._dead.of(service, subscription, each.cause, each.asks).inc()
            for each in some:
                if each.timer:
                    self._timers.of(service, subscription, each.timer).inc()

    def published(self, sent: Sequence[Sent]) -> None:
        """Count the broker's answers; observe the time that each took."""
        groups: dict[tuple[str, str, str], list[float]] = {}
        for each in sent:
            labels = (each.service, each.kind, each.verdict)
            if (waited := groups.get(labels)) is None:
                waited = groups[labels] = []
            waited.append(each.waited)
        for (service, kind, verdict), waited in groups.items():
            self._published.of(service, kind, verdict).inc(len(waited))
            self._wait.observe((service, kind), waited)

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """0 closed, 1 half-open, 2 open, 3 held by a person."""
        self._breaker.of(service, name).set(_STATES[state])

    def link(self, service: str, ready: bool, reason: str) -> None:
        """1 while the broker is reachable."""
        self._link.of(service).set(int(ready))

    def sampled(self, sample: Sample) -> None:
        """Set the gauges of what waits. `shed_receipts` counts from the start of the process."""
        service = sample.service
        counts = (sample.outbox_events, sample.outbox_receipts, sample.outbox_later, sample.outbox_refused)
        for kind, count in zip(_WAITING, counts, strict=True):
            self._waiting.of(service, kind).set(count)
        self._oldest.of(service).set(sample.outbox_oldest)
        self._armed.of(service).set(sample.timers_armed)
        self._overdue.of(service).set(sample.timers_late)
        self._behind.keep(service, sample.behind)
        for subscription, seconds in sample.behind.items():
            self._behind.of(service, subscription).set(seconds)
        held = self._held.setdefault(service, set())
        held.update(sample.in_hand)
        for subscription in held:
            self._in_hand.of(service, subscription).set(sample.in_hand.get(subscription, 0))
        for subscription, (subjects, age) in sample.blocked.items():
            self._blocked.of(service, subscription).set(subjects)
            self._blocked_age.of(service, subscription).set(age)
        for family in (self._backfill, self._read, self._rate):
            family.keep(service, sample.backfills)
        for subscription, each in sample.backfills.items():
            self._backfill.of(service, subscription).set(_PHASES.get(each.phase, 0))
            self._read.of(service, subscription, "next").set(each.next)
            self._read.of(service, subscription, "end").set(each.end)
            self._rate.of(service, subscription).set(each.per_second)
        before = self._shed_so_far.get(service, 0)
        self._shed_so_far[service] = sample.shed_receipts
        self._shed.of(service).inc(max(0, sample.shed_receipts - before))

    def drifted(self, service: str, subscription: str, type: str, kind: str, many: int) -> None:
        """Count them by what is declared and by kind, never by path."""
        self._drift.of(service, subscription, type, kind).inc(many)

    def pushed(self, push: Pushed) -> None:
        """Count it by source and end, and which secret matched; observe the skew of authentic ones."""
        self._pushes.of(push.service, push.source, push.end).inc()
        if push.secret:
            self._secrets.of(push.service, push.source, str(push.secret)).inc()
            if push.skew is not None:
                self._skew.observe((push.service, push.source), [abs(push.skew)])

    def webhooks_kept(self, service: str, kept: Mapping[str, int]) -> None:
        """Set the gauge."""
        for source, many in kept.items():
            self._kept.of(service, source).set(many)

    def command(self, service: str, route: str, end: str) -> None:
        """Count it by how it ended."""
        self._commands.of(service, route, end).inc()

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Count it by `what`, which is a constant text."""
        self._troubles.of(service, what).inc()

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """Count it among the troubles; listeners belong to the process, so the service is empty."""
        self._troubles.of("", "a listener raised an error").inc()

    def _counter(self, name: str, sentence: str, *labels: str) -> _Family[Counter]:
        return _Family(Counter(name, sentence, labels, registry=self._registry))

    def _gauge(self, name: str, sentence: str, *labels: str) -> _Family[Gauge]:
        return _Family(Gauge(name, sentence, labels, registry=self._registry))

    def _histogram(self, name: str, sentence: str, labels: Sequence[str], bounds: Sequence[float]) -> _Histogram:
        return _Histogram(name, sentence, labels, bounds, self._registry)
