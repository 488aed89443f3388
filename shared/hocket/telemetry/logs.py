"""Logs of a process: JSON lines on stderr in a container, readable text with traces at a terminal.

Every line that is written while a handler runs, by whatever logger, says of which delivery it is (`DELIVERY`). Every
line is masked, whoever logs it (RULES 18.1). The lines of the kit's own moments are in `log_lines`.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from hocket.masking.mask import Mask, mask_in_hand
from hocket.telemetry.signals import running

Format = Literal["auto", "json", "terminal"]

#: Fields of a line that are never a team's text.
_PLAIN = frozenset({"time", "level"})
#: Libraries that log too much, and their lowest level. What the RabbitMQ client says about its connection, tracebacks
#: included, is one line of ours, "link to the broker is down"; what the pool of PostgreSQL's driver says about a lost
#: connection is "not ready".
_QUIET = {
    "aiormq": logging.ERROR,
    "aiormq.connection": logging.CRITICAL,
    "aio_pika": logging.ERROR,
    "aiosqlite": logging.WARNING,
    "sqlalchemy.pool": logging.CRITICAL,
    "urllib3": logging.ERROR,
}

#: What a line says of the delivery in whose handler it was written, in this order.
DELIVERY = ("service", "subscription", "type", "event_id", "correlation_id", "causation_id", "subject", "attempt")
#: Stands before a field of the caller that has the name of one of these.
OWN = "own_"

Line = MutableMapping[str, Any]


def configure(level: str, stream: TextIO | None = None, format: Format = "auto") -> bool:
    """Send all logs of this process, also those of libraries, to `stream` (stderr); whether they are for a terminal.

    "json" writes one object a line, "terminal" text with traces, "auto" text where the stream is a terminal.
    """
    out = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    terminal = format == "terminal" or (format == "auto" and out.isatty())
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        of_the_delivery,
    ]
    render = _for_a_terminal(out) if terminal else _as_json()
    structlog.configure(
        processors=[*before, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    named: list[structlog.typing.Processor] = [structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
            foreign_pre_chain=[*named, *before],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    quiet(number)
    return terminal


def _as_json() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        hide_sensitive,
        _in_order,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=repr),
    ]


def _for_a_terminal(out: TextIO) -> list[structlog.typing.Processor]:
    colours = out.isatty() and not os.environ.get("NO_COLOR")
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp"),
        structlog.processors.format_exc_info,
        hide_sensitive,
        structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback, sort_keys=False, pad_event_to=0
        ),
    ]


def _in_order(_: object, __: str, line: Line) -> Line:
    """When, how serious and what come first: a person reads a line from its beginning."""
    first = {name: line[name] for name in ("time", "level", "event") if name in line}
    return {**first, **line}


def of_the_delivery(_: object, __: str, line: Line) -> Line:
    """Say of which delivery a line is that was written while its handler ran; the caller's own fields are kept."""
    run = running.get()
    if run is None:
        return line
    for name in DELIVERY:
        value = getattr(run, name)
        if value == "":
            continue
        if line.get(name, value) != value:
            line[OWN + name] = line[name]
        line[name] = value
    return line


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
