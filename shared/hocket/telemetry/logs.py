"""Logs: one JSON object a line on stderr, for what a person may want to know.

A handled event is never logged above DEBUG. The text of an error is not logged at all, since it may quote the value of
a `Sensitive` field; its kind is, and the desk shows the rest, masked.
"""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener, Sent

#: Libraries that say more than a person wants to know, and the level from which they are heard. What the client of
#: RabbitMQ says of its connection, tracebacks included, is one line of ours: "link to the broker is down".
_QUIET = {
    "aiormq": logging.ERROR,
    "aiormq.connection": logging.CRITICAL,
    "aio_pika": logging.ERROR,
    "aiosqlite": logging.WARNING,
    "urllib3": logging.ERROR,
}


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process, also those of libraries, to stderr as JSON lines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    render: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
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


def quiet(level: int = logging.WARNING) -> None:
    """Let libraries say no more than a person wants to know, also where nobody configures logs."""
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


class LogsListener(Listener):
    """Logs dead letters, refused rows, troubles, and what breakers and the link do."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("hocket")

    def attempts(self, ended: Sequence[Ended]) -> None:
        """A dead letter is a warning, one that leaves a zombie an error; all else is DEBUG."""
        log = self._log.bind()
        every = log.is_enabled_for(logging.DEBUG)
        for each in ended:
            say = log.debug
            if each.word is Word.DEAD:
                say = log.error if each.zombie else log.warning
            elif not every:
                continue
            say(
                "dead letter" if each.word is Word.DEAD else "attempt ended",
                service=each.service,
                subscription=each.subscription,
                type=each.type,
                event_id=each.event_id,
                correlation_id=each.correlation_id,
                attempt=each.attempt,
                outcome=each.word.value,
                cause=each.cause,
                seconds=round(each.ended - each.began, 6),
                **({"zombie": True} if each.zombie else {}),
            )

    def published(self, sent: Sequence[Sent]) -> None:
        """What the broker will never take is an error, what it did not take now is DEBUG."""
        for each in sent:
            if each.verdict != "confirmed":
                say = self._log.error if each.verdict == "refused" else self._log.debug
                say("not published", service=each.service, kind=each.kind, type=each.type, verdict=each.verdict)

    def breaker(self, service: str, name: str, state: str) -> None:
        """An open breaker is a warning."""
        say = self._log.warning if state == "open" else self._log.info
        say("breaker changed", service=service, breaker=name, state=state)

    def link(self, service: str, ready: bool, reason: str) -> None:
        """A lost link is a warning."""
        if ready:
            self._log.info("link to the broker is up", service=service)
        else:
            self._log.warning("link to the broker is down", service=service, reason=reason)

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """A warning with its particulars."""
        particulars = {("about_event" if name == "event" else name): value for name, value in about.items()}
        self._log.warning(what, service=service, **particulars)
