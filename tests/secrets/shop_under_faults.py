"""The whole shop, its consoles included, where every handler fails in every way that quotes what it was given."""

import asyncio
import base64
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from opentelemetry import trace
from pydantic import BaseModel, ValidationError, field_validator

from hocket import Event, Heard, Reject
from hocket.declarations.subscription import Subscription
from services.crm import crm
from services.deadletters import deadletters
from services.ingress import ingress
from services.inventory import inventory
from services.notifications import notifications
from services.order_view import order_view
from services.orders import orders
from services.payments import payments
from services.sandbox import sandbox
from services.scoring import scoring
from services.shipping import shipping
from services.tracer import tracer

#: In the order in which they are started.
SERVICES = (
    *(sandbox, tracer, deadletters, orders, payments, inventory, shipping, notifications, ingress, crm),
    *(scoring, order_view),
)
#: A card or address with this in it is never handled.
DOOMED = "doomed"


class Picky(BaseModel):
    """A model whose validator quotes what it refuses."""

    value: str

    @field_validator("value")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError(f"{value} will not do")


def sensitive_models() -> list[type[Heard]]:
    """Every model of the shop that has a sensitive field: what is said, and what is heard."""
    found: dict[tuple[str, str], type[Heard]] = {}
    for service in SERVICES:
        declared = service.declarations
        heard = [model for each in declared.subscriptions.values() for model in each.heard]
        for model in (*declared.says.values(), *heard):
            if model.__hocket_sensitive__:
                found[model.__module__, model.__qualname__] = model
    return list(found.values())


def quotes(event: Heard) -> Iterator[str]:
    """Texts that quote an event, as careless code does."""
    yield repr(event)
    yield event.model_dump_json()
    for value in event.model_dump(mode="json").values():
        text = str(value)
        yield f"cannot use {text!r}: {text.upper()} {quote(text, safe='')} {base64.b64encode(text.encode()).decode()}"
        yield f"GET http://customers.example/?who={quote(text)} failed, key {text.encode()!r}"


def errors(event: Heard) -> Iterator[BaseException]:
    """Errors that quote an event: by their text, their cause, their notes, a validator, a group."""
    texts = list(quotes(event))
    yield ValueError(" ".join(texts))
    yield KeyError(texts[-1])
    chained = RuntimeError("it failed")
    chained.__cause__ = OSError(texts[0])
    chained.add_note(texts[1])
    yield chained
    yield ExceptionGroup("several", [ValueError(text) for text in texts])
    try:
        Picky(value=texts[-1])
    except ValidationError as refused:
        yield refused


class Careless:
    """Stands in for one handler: quotes the event in logs and spans, fails, and at last handles it, or never."""

    def __init__(self, subscription: Subscription) -> None:
        self.queue = subscription.queue
        self._call: Callable[..., Awaitable[Any]] = subscription.call
        self._runs = itertools.count()
        self.failed = 0

    async def __call__(self, event: Heard, *more: Any) -> Any:
        """Fail twice of three times."""
        self._say(event)
        number, ways = next(self._runs), list(errors(event))
        if DOOMED in repr(event):
            self.failed += 1
            raise Reject(" ".join(quotes(event))) if number % 2 else ways[number % len(ways)]
        if number % 3:
            self.failed += 1
            raise ways[number % len(ways)]
        return await self._call(event, *more)

    def _say(self, event: Heard) -> None:
        log = logging.getLogger(f"team.{self.queue}")
        span = trace.get_current_span()
        for text in quotes(event):
            log.warning("about %s", text, extra={"whole": event, "text": text})
            structlog.get_logger("team").info("about", text=text, event_=event, inside={"deep": [text]})
            span.set_attribute("team.text", text)
        for error in errors(event):
            span.record_exception(error)
            try:
                raise error
            except type(error):
                log.exception("it failed")


def make_careless(monkeypatch: pytest.MonkeyPatch) -> list[Careless]:
    """Every handler of the shop that hears something sensitive."""
    made = []
    for service in SERVICES:
        for subscription in service.declarations.subscriptions.values():
            if subscription.undo is None and any(model.__hocket_sensitive__ for model in subscription.heard):
                careless = Careless(subscription)
                monkeypatch.setattr(subscription, "call", careless)
                monkeypatch.setattr(subscription, "retry", subscription.retry)
                made.append(careless)
    return made


async def settled(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Wait until this holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 -- it stands in another process or behind HTTP
            await asyncio.sleep(0.2)


def says(event: type[Heard]) -> bool:
    """Whether the shop itself says it."""
    return issubclass(event, Event)
