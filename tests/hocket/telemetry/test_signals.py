"""Signals: moments reach every listener, and contexts surround a run."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn

import pytest

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener, Processing, Sample, Saying, Sent, Signals

ENDED = Ended("payments", "payments.charge", "order.placed", "1", "flow", 1, Word.HANDLED, 1.0, 2.0, 0.5)
SENT = Sent("payments", "event", "payment.charged", "confirmed", 0.1)
SAMPLE = Sample("payments", 1, 2, 3, 4, 5.0)
RUN = Processing("payments", "payments.charge", "order.placed", "1", "flow", 1, "")
SAYING = Saying("payments", "payment.charged", "2", "flow", "payment.charged.v1", "of the flow")


class Notes(Listener):
    """Records each moment."""

    def __init__(self, name: str, heard: list[tuple[object, ...]], traceparent: str = "") -> None:
        self.name = name
        self.heard = heard
        self.traceparent = traceparent

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Note it."""
        self.heard.append((self.name, "attempts", *ended))

    def published(self, sent: Sequence[Sent]) -> None:
        """Note it."""
        self.heard.append((self.name, "published", *sent))

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """Note it."""
        self.heard.append((self.name, "breaker", service, name, state))

    def link(self, service: str, ready: bool, reason: str) -> None:
        """Note it."""
        self.heard.append((self.name, "link", service, ready, reason))

    def sampled(self, sample: Sample) -> None:
        """Note it."""
        self.heard.append((self.name, "sampled", sample))

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Note it."""
        self.heard.append((self.name, "trouble", service, what, about))

    def processing(self, run: Processing) -> AbstractContextManager[str]:
        """Note begin and end."""
        return self._around()

    @contextmanager
    def _around(self) -> Iterator[str]:
        self.heard.append((self.name, "begin"))
        try:
            yield self.traceparent
        finally:
            self.heard.append((self.name, "end"))

    def saying(self, event: Saying) -> str:
        """Its own traceparent."""
        return self.traceparent


def report_all(listener: Listener) -> None:
    """Every moment once."""
    listener.attempts([ENDED])
    listener.published([SENT])
    listener.breaker("payments", "card-api", "open")
    listener.link("payments", ready=False, reason="gone")
    listener.sampled(SAMPLE)
    listener.trouble("payments", "a lease expired", seconds=3)


def test_every_listener_hears_every_moment_in_order() -> None:
    """A moment is passed on unchanged, to the first listener first."""
    heard: list[tuple[object, ...]] = []
    report_all(Signals([Notes("a", heard), Notes("b", heard)]))
    moments = [
        ("attempts", ENDED), ("published", SENT), ("breaker", "payments", "card-api", "open"),
        ("link", "payments", False, "gone"), ("sampled", SAMPLE),
        ("trouble", "payments", "a lease expired", {"seconds": 3}),
    ]  # fmt: skip
    assert heard == [(name, *moment) for moment in moments for name in ("a", "b")]


def test_contexts_surround_a_run() -> None:
    """The first listener's context is outermost, and an error passes through all of them."""
    heard: list[tuple[object, ...]] = []
    signals = Signals([Notes("a", heard), Listener(), Notes("b", heard)])
    with pytest.raises(ValueError, match="handler"), signals.around(RUN):
        raise ValueError("handler")
    assert heard == [("a", "begin"), ("b", "begin"), ("b", "end"), ("a", "end")]


def test_the_first_traceparent_counts() -> None:
    """Without a listener that traces, the flow's own traceparent is used."""
    assert Signals([Notes("a", []), Notes("b", [], "own"), Notes("c", [], "later")]).saying(SAYING) == "own"
    assert Signals([Listener()]).saying(SAYING) == "of the flow"
    assert Signals().saying(SAYING) == "of the flow"


def test_a_listener_may_ignore_every_moment() -> None:
    """A listener overrides only the moments that it needs."""
    report_all(Listener())
    assert Listener().processing(RUN) is None
    assert Listener().saying(SAYING) == ""


class Broken(Listener):
    """Raises at each moment; its contexts raise where `at` says."""

    def __init__(self, at: str = "made") -> None:
        self.at = at

    def _raise(self) -> NoReturn:
        raise OSError("no space left on device")

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Raise."""
        self._raise()

    def published(self, sent: Sequence[Sent]) -> None:
        """Raise."""
        self._raise()

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """Raise."""
        self._raise()

    def link(self, service: str, ready: bool, reason: str) -> None:
        """Raise."""
        self._raise()

    def sampled(self, sample: Sample) -> None:
        """Raise."""
        self._raise()

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Raise."""
        self._raise()

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """Raise."""
        self._raise()

    def saying(self, event: Saying) -> str:
        """Raise."""
        self._raise()

    def processing(self, run: Processing) -> AbstractContextManager[str]:
        """Raise, or a context that raises or suppresses."""
        if self.at == "made":
            self._raise()
        return self._around()

    @contextmanager
    def _around(self) -> Iterator[str]:
        if self.at == "entered":
            self._raise()
        try:
            yield ""
        except ValueError:
            if self.at == "suppresses":
                return
            raise
        finally:
            if self.at == "left":
                self._raise()


class Failures(Listener):
    """Records which listeners have raised."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """Record it."""
        self.seen.append((listener, moment, cause))


def test_a_listener_that_raises_harms_nobody() -> None:
    """RULES 3.6: at every moment the other listeners are told, and the one that raised is named to them."""
    heard: list[tuple[object, ...]] = []
    failures = Failures()
    signals = Signals([Broken(), failures, Notes("b", heard, "own")])
    report_all(signals)
    assert signals.saying(SAYING) == "own"
    with signals.around(RUN) as traceparent:
        assert traceparent == "own"
    moments = ["attempts", "published", "breaker", "link", "sampled", "trouble"]
    assert [each[1] for each in heard] == [*moments, "begin", "end"]
    assert failures.seen == [("Broken", each, "OSError") for each in [*moments, "saying", "processing"]]


@pytest.mark.parametrize("at", ["entered", "left", "suppresses"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_context_that_raises_or_suppresses_changes_no_run(at: str, fails: bool) -> None:
    """RULES 3.6: a run that failed has failed with its own error, one that ended well has ended well."""
    heard: list[tuple[object, ...]] = []
    signals = Signals([Notes("a", heard), Broken(at), Notes("b", heard)])
    ended = None
    try:
        with signals.around(RUN):
            if fails:
                raise ValueError("handler")
    except ValueError as error:
        ended = str(error)
    assert ended == ("handler" if fails else None)
    assert heard == [("a", "begin"), ("b", "begin"), ("b", "end"), ("a", "end")]
