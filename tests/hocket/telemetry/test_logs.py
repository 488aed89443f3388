"""Logs: one JSON object a line, or text at a terminal; each line of a handler says of which delivery it is."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from hocket.telemetry.logs import configure
from hocket.telemetry.signals import Processing, Signals


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """Where the lines go; afterwards logging is reset."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("aiormq", "aiormq.connection", "aio_pika", "aiosqlite", "sqlalchemy.pool", "urllib3"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(stream: StringIO) -> list[dict[str, Any]]:
    """Every line, decoded."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Ear(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


RUN = Processing("payments", "payments.charge", "order.placed", "1", "flow", 2, "", "cause", "order/4711")


def test_a_handlers_own_line_says_of_which_delivery_it_is(stream: StringIO) -> None:
    """Its name and `extra=` are kept, a field of the same name under `own_`; outside of a run nothing is added."""
    configure("INFO", stream)
    with Signals().around(RUN):
        logging.getLogger("team.cards").info("asking", extra={"cents": 5, "subject": "mine", "attempt": 2})
        structlog.get_logger("team").info("asked", sku="tea")
    logging.getLogger("team.cards").info("over")
    asking, asked, over = lines(stream)
    ids = {
        "service": "payments", "subscription": "payments.charge", "type": "order.placed", "event_id": "1",
        "correlation_id": "flow", "causation_id": "cause", "subject": "order/4711", "attempt": 2,
    }  # fmt: skip
    for line in (asking, asked, over):
        assert line.pop("time").endswith("Z")
    assert asking == {
        "event": "asking", "level": "info", "logger": "team.cards", "cents": 5, "own_subject": "mine", **ids,
    }  # fmt: skip
    assert asked == {"event": "asked", "level": "info", "sku": "tea", **ids}
    assert over == {"event": "over", "level": "info", "logger": "team.cards"}


async def test_two_runs_at_once_are_kept_apart(stream: StringIO) -> None:
    """Each task has the delivery of its own run, also in tasks that a handler starts."""
    configure("INFO", stream)

    async def handler(attempt: int) -> None:
        with Signals().around(RUN._replace(attempt=attempt)):
            await asyncio.sleep(0)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(inner(attempt))

    async def inner(attempt: int) -> None:
        await asyncio.sleep(0)
        logging.getLogger("team").info("run %d", attempt)

    await asyncio.gather(*(handler(each) for each in (1, 2, 3)))
    assert {line["event"]: line["attempt"] for line in lines(stream)} == {"run 1": 1, "run 2": 2, "run 3": 3}


def test_at_a_terminal_a_line_is_text_with_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` writes text where the stream is a terminal; without colours where NO_COLOR asks for none."""
    monkeypatch.setenv("NO_COLOR", "1")
    out = Ear()
    assert configure("INFO", out) is True
    structlog.get_logger("hocket").warning("attempt failed", service="payments", exception="Traceback: x\n  in charge")
    logging.getLogger("team").info("hello")
    first, *rest = out.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[warning *\] attempt failed +service=payments", first), first
    assert rest[:2] == ["Traceback: x", "  in charge"]
    assert "hello" in rest[2]


def test_the_form_can_be_chosen(stream: StringIO) -> None:
    """JSON at a terminal, text in a container."""
    out = Ear()
    assert configure("INFO", out, "json") is False
    structlog.get_logger("hocket").info("x")
    assert json.loads(out.getvalue())["event"] == "x"
    assert configure("INFO", stream, "terminal") is True
    structlog.get_logger("hocket").info("x")
    assert not stream.getvalue().startswith("{")


def test_a_field_that_is_not_json_is_shown(stream: StringIO) -> None:
    """A line is never lost because of a value in it."""
    configure("INFO", stream)
    logging.getLogger("team").info("x", extra={"what": object})
    assert lines(stream)[0]["what"] == "<class 'object'>"


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
    """Warnings and tracebacks of the clients of broker and database are not repeated; a fault in a callback is."""
    configure("INFO", stream)
    wire = logging.getLogger("aiormq.connection")
    wire.warning("Cancelling cause reader exited abnormally", exc_info=ConnectionResetError())
    wire.error("Unexpected connection close from remote")
    pool = logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool")
    pool.error("Exception during reset or similar", exc_info=ConnectionResetError())
    logging.getLogger("aiormq.channel").error("Consumer callback failed")
    assert [line["event"] for line in lines(stream)] == ["Consumer callback failed"]
