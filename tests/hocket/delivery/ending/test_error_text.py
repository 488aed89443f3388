"""Nothing that a delivery leaves behind quotes a sensitive value: receipt, letter, inbox row, log line (RULES 18.1)."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from pydantic import field_validator

from hocket import Death, Event, Heard, Reject, Retry, Sensitive, Service, Tx
from hocket.broker.memory import MemoryTransport
from hocket.broker.port import Message
from hocket.broker.topology import DEAD, EVENTS
from hocket.envelope import CONTENT_TYPE
from hocket.telemetry import logs
from hocket.testing import play

EMAIL = "ada.lovelace@example.com"
#: The attributes of an event of a foreign publisher.
HEAD = {"specversion": "1.0", "id": "1", "source": "/site", "type": "lead.asked"}


class Asked(Heard, type="lead.asked"):
    """What is heard; an address in capitals is refused by a validator that quotes it."""

    email: Sensitive[str]

    @field_validator("email")
    @classmethod
    def _small(cls, value: str) -> str:
        if value.isupper():
            raise ValueError(f"{value} is in capitals")
        return value


class Gone(Event, type="lead.gone", subject="lead/{email:pseudonym}"):
    """What is said at the end."""

    email: Sensitive[str]
    why: str


def service(error: Exception) -> Service[None]:
    """A service whose handler logs and raises what quotes the address."""
    desk: Service[None] = Service("desk", owner="team")

    @desk.handler(retry=Retry(retries=1, first=timedelta(seconds=1)))
    async def answer(asked: Asked, tx: Tx) -> None:
        log = logging.getLogger("team")
        try:
            raise KeyError(asked.email)
        except KeyError:
            log.exception("no answer for %s", asked.email, extra={"who": asked.email})
        raise error from ValueError(f"{asked!r}")

    @desk.on_dead(answer)
    def gone(asked: Asked, death: Death) -> Gone:
        return Gone(email=asked.email, why=death.error)

    return desk


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as `hocket run` logs it."""
    stream = io.StringIO()
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("DEBUG", stream)
    yield stream
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "error",
    [ValueError(f"POST /leads?email=ada.lovelace%40example.com: {EMAIL.upper()}"), Reject(f"{EMAIL} is unknown")],
    ids=["raised", "rejected"],
)
async def test_an_error_that_quotes_is_masked_wherever_it_goes(error: Exception, log: io.StringIO) -> None:
    """RULES 18.1: in receipts, the letter's headers with its history, what `on_dead` is told, and the log."""
    async with play(service(error)) as stage:
        await stage.hear(Asked(email=EMAIL))
        await stage.advance(timedelta(minutes=5))
        letters = stage.broker.messages(DEAD)
        receipts, (gone,) = list(stage.receipts), stage.said_of(Gone)
    assert len(letters) == 1
    assert "*****" in str(letters[0].headers["hocket-death-error"])
    assert "*****" in gone.why
    left = [*(str(dict(each.headers)) for each in letters), json.dumps(receipts), gone.why]
    for text in [*left, *log.getvalue().splitlines()]:
        assert "lovelace" not in text.lower()
    assert "no answer for *****" in log.getvalue()


async def test_a_validator_that_quotes_is_masked(log: io.StringIO) -> None:
    """RULES 18.1: also where the event cannot be read at all, and so nothing of it is in hand but its data."""
    async with play(service(ValueError())) as stage:
        post = MemoryTransport(stage.broker, "site")
        await post.open()
        body = json.dumps(HEAD | {"data": {"email": EMAIL.upper()}}).encode()
        await post.publish([Message(EVENTS, "lead.asked.v1", body, CONTENT_TYPE)])
        await stage.advance(timedelta(minutes=1))
        (letter,) = stage.broker.messages(DEAD)
    assert "Value error, ***** is in capitals" in str(letter.headers["hocket-death-error"])
    assert "lovelace" not in f"{dict(letter.headers)}{log.getvalue()}".lower()
