"""Logs: one JSON object per line on stderr.

A handled event is logged at DEBUG only. Every line is masked, whoever logs it (RULES 18.1).
"""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog

from hocket.masking.mask import Mask, mask_in_hand
from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener, Sent

#: Fields of a line that are never a team's text.
_PLAIN = frozenset({"time", "level"})
#: Libraries that log too much, and their lowest level. What the RabbitMQ client logs about its connection, tracebacks
#: included, is one line of ours: "link to the broker is down".
_QUIET = {
    "aiormq": logging.ERROR,
    "aiormq.connection": logging.CRITICAL,
    "aio_pika": logging.ERROR,
    "aiosqlite": logging.WARNING,
    "urllib3": logging.ERROR,
}


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process, also those of libraries, to `stream` (stderr) as JSON lines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    render: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        hide_sensitive,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    structlog.configure(
        processors=[*before, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render], foreign_pre_chain=before
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    quiet(number)


def hide_sensitive(logger: object, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Hide the sensitive values of the events in hand wherever they stand in a line, whoever logs it (RULES 18.1)."""
    mask = mask_in_hand()
    return {name: value if name in _PLAIN else _hidden(value, mask) for name, value in line.items()}


def _hidden(value: object, mask: Mask) -> object:
    """The value as JSON holds it, every text in it masked."""
    if isinstance(value, dict):
        return {mask.hide(str(name)): _hidden(inner, mask) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(inner, mask) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else repr(value)
    hidden = mask.hide(text)
    return value if isinstance(value, int | float) and hidden == text else hidden


def quiet(level: int = logging.WARNING) -> None:
    """Set the lowest levels of noisy libraries; of use also where the application configures logging itself."""
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


class LogsListener(Listener):
    """Logs dead letters, refused outbox rows, troubles, breaker changes and the connection to the broker."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("hocket")
        self._failed_listeners: set[str] = set()

    def attempts(self, ended: Sequence[Ended]) -> None:
        """A dead letter is a warning; every other attempt is DEBUG."""
        log = self._log.bind()
        every = log.is_enabled_for(logging.DEBUG)
        for each in ended:
            dead = each.word is Word.DEAD
            if not dead and not every:
                continue
            (log.warning if dead else log.debug)(
                "dead letter" if dead else "attempt ended",
                service=each.service,
                subscription=each.subscription,
                type=each.type,
                event_id=each.event_id,
                correlation_id=each.correlation_id,
                attempt=each.attempt,
                outcome=each.word.value,
                cause=each.cause,
                seconds=round(each.ended - each.began, 6),
            )

    def published(self, sent: Sequence[Sent]) -> None:
        """A message that the broker refuses for good is an error; one that it did not confirm this time is DEBUG."""
        for each in sent:
            if each.verdict != "confirmed":
                say = self._log.error if each.verdict == "refused" else self._log.debug
                say("not published", service=each.service, kind=each.kind, type=each.type, verdict=each.verdict)

    def breaker(self, service: str, name: str, state: str) -> None:
        """An open breaker is a warning."""
        say = self._log.warning if state == "open" else self._log.info
        say("breaker changed", service=service, breaker=name, state=state)

    def link(self, service: str, ready: bool, reason: str) -> None:
        """A lost connection is a warning."""
        if ready:
            self._log.info("link to the broker is up", service=service)
        else:
            self._log.warning("link to the broker is down", service=service, reason=reason)

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """A warning with its details."""
        details = {("about_event" if name == "event" else name): value for name, value in about.items()}
        self._log.warning(what, service=service, **details)

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """An error with its class, once for each listener; the metric counts."""
        if listener not in self._failed_listeners:
            self._failed_listeners.add(listener)
            self._log.error(
                "a listener raised an error; the service goes on", listener=listener, moment=moment, cause=cause
            )
