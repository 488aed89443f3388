"""The lines of the kit's own moments: attempts that failed, dead letters, troubles, breakers, link, readiness.

A handled event is logged at DEBUG only. What can repeat without end is bounded: `RETRY_LINES` and `TROUBLE_SECONDS`.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener, Sent, running

#: Lines about failed attempts that one subscription writes in `RETRY_SECONDS`; the next line says how many were not.
RETRY_LINES = 20
RETRY_SECONDS = 60.0
#: Seconds in which one trouble of one service is written once; the next line says how many there were meanwhile.
TROUBLE_SECONDS = 60.0
#: What tells two troubles of one kind apart.
APART = frozenset({"queue", "source", "task"})
#: The detail of a step of a clock: each is said, for the clocks are looked at once a second.
STEP = "step_seconds"
#: Troubles that last and that readiness reports, once and with the reason.
IN_READINESS = frozenset(
    {
        "the store does not answer",
        "the store does not answer at the start",
        "the connection to the broker was lost during the start",
        "another reader has taken over",
        "a reader failed",
    }
)


@dataclass(slots=True)
class _Window:
    """What one subject of lines has written, and kept back, since a moment."""

    since: float
    written: int = 0
    kept_back: int = 0


class LogsListener(Listener):
    """Logs what an operator acts on; with `traces` the stack of each failed attempt too."""

    def __init__(self, *, traces: bool = False, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger("hocket")
        self._traces = traces
        self._monotonic = monotonic
        self._retries: dict[tuple[str, ...], _Window] = {}
        self._unreached: dict[tuple[str, ...], _Window] = {}
        self._troubles: dict[tuple[str, ...], _Window] = {}
        self._opened: dict[tuple[str, str], float] = {}  # breakers that are not closed, and since when
        self._down: dict[str, float] = {}  # services without a link, and since when
        self._failed_listeners: set[str] = set()

    def attempts(self, ended: Sequence[Ended]) -> None:
        """A dead letter and a failed attempt are warnings, a failure that found no run is INFO, all else is DEBUG."""
        log = self._log.bind()
        every = log.is_enabled_for(logging.DEBUG)
        for each in ended:
            if each.word is Word.HANDLED and each.reached and not every:
                continue  # nearly all
            if each.word is Word.DEAD:
                log.warning("dead letter", **self._about(each))
            elif each.word is Word.RETRY:
                missed = self._room(self._retries, (each.service, each.subscription), RETRY_LINES, RETRY_SECONDS)
                if missed is not None:
                    log.warning("attempt failed", **self._about(each), **missed)
            elif not each.reached:
                missed = self._room(self._unreached, (each.service, each.subscription), RETRY_LINES, RETRY_SECONDS)
                if missed is not None:
                    log.info("a failure found no step run to undo", **self._about(each), **missed)
            elif every:
                log.debug("attempt ended", **self._about(each))

    def _about(self, each: Ended) -> dict[str, object]:
        about: dict[str, object] = {
            "service": each.service, "subscription": each.subscription, "type": each.type, "event_id": each.event_id,
            "correlation_id": each.correlation_id, "subject": each.subject, "attempt": each.attempt,
            "outcome": each.word.value, "cause": each.cause, "error": each.error,
            "seconds": round(each.ended - each.began, 6),
        }  # fmt: skip
        if each.letter:
            about["letter"] = each.letter
        if each.again_in is not None:
            about["again_in_seconds"] = round(each.again_in, 1)
        if self._traces and each.trace:
            about["exception"] = each.trace
        return about

    def _room(
        self, windows: dict[tuple[str, ...], _Window], key: tuple[str, ...], most: int, seconds: float
    ) -> dict[str, int] | None:
        """Whether a line may be written; if so, how many of its kind were kept back before."""
        now = self._monotonic()
        window = windows.get(key)
        if window is None or now - window.since >= seconds:
            kept_back = window.kept_back if window is not None else 0
            windows[key] = _Window(now, 1)
            return {"not_shown": kept_back} if kept_back else {}
        if window.written >= most:
            window.kept_back += 1
            return None
        window.written += 1
        return {}

    def published(self, sent: Sequence[Sent]) -> None:
        """A message that the broker refuses for good is an error; one that it did not confirm this time is DEBUG."""
        for each in sent:
            if each.verdict != "confirmed":
                say = self._log.error if each.verdict == "refused" else self._log.debug
                say("not published", service=each.service, kind=each.kind, type=each.type, verdict=each.verdict)

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """A breaker that opens is a warning with its reason, once; probes are DEBUG; a close says after how long."""
        key = (service, name)
        if state == "closed":
            if (since := self._opened.pop(key, None)) is not None:
                lasted = round(self._monotonic() - since, 1)
                _write(self._log.info, "breaker closed again", service=service, breaker=name, after_seconds=lasted)
        elif key not in self._opened:
            self._opened[key] = self._monotonic()
            line = "breaker opened: its calls are refused and wait"
            _write(self._log.warning, line, service=service, breaker=name, state=state, reason=reason)
        else:
            _write(self._log.debug, "breaker changed", service=service, breaker=name, state=state, reason=reason)

    def link(self, service: str, ready: bool, reason: str) -> None:
        """A lost connection is a warning with its reason; when it is back, the line says where and after how long."""
        if ready:
            since = self._down.pop(service, None)
            lasted = {} if since is None else {"after_seconds": round(self._monotonic() - since, 1)}
            self._log.info("link to the broker is up", service=service, broker=reason, **lasted)
        elif reason:
            self._down.setdefault(service, self._monotonic())
            self._log.warning("link to the broker is down", service=service, reason=reason)

    def readiness(self, service: str, reason: str) -> None:
        """Why the service is not ready is a warning."""
        if reason:
            self._log.warning("not ready", service=service, reason=reason)
        else:
            self._log.info("ready", service=service)

    def generation(self, service: str, projection: str, n: int, state: str) -> None:
        """What became of a generation."""
        self._log.info(f"a generation of a projection is {state}", service=service, projection=projection, n=n)

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """An error with its class, once for each listener; the metric counts."""
        if listener not in self._failed_listeners:
            self._failed_listeners.add(listener)
            self._log.error(
                "a listener raised an error; the service goes on", listener=listener, moment=moment, cause=cause
            )

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """A warning with its details, once in `TROUBLE_SECONDS`; what readiness reports is DEBUG."""
        details = {("about_event" if name == "event" else name): value for name, value in about.items()}
        if what in IN_READINESS:
            _write(self._log.debug, what, service=service, **details)
            return
        key = (service, what, *(str(value) for name, value in about.items() if name in APART))
        missed = {} if STEP in about else self._room(self._troubles, key, 1, TROUBLE_SECONDS)
        if missed is not None:
            _write(self._log.warning, what, service=service, **details, **missed)


def _write(level: Callable[..., object], event: str, **about: object) -> None:
    """A line about the service, not about the delivery in whose run it happens to be noticed."""
    token = running.set(None)
    try:
        level(event, **about)
    finally:
        running.reset(token)
