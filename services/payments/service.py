"""The service, its settings, and the card system outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.payments.domain import (
    Authorised,
    Captured,
    Declined,
    GivenBack,
    Lapsed,
    Refused,
    is_failure,
    read_authorisation,
    read_capture,
    read_refund,
    read_void,
)
from services.payments.storage import tables


class Settings(BaseSettings):
    """Where the card system is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", frozen=True)

    cards_url: str = Field(default="http://127.0.0.1:8009/cards", description="address of the card system")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Cards(Protocol):
    """The card system; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def authorise(
        self, order_id: str, card: str, total_cents: int, *, key: str
    ) -> Authorised | Declined | Refused:
        """Hold money of a card, at most once per key."""
        ...

    async def void(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """Let go what is held under the key `original` and was not taken, and refuse that key from now on."""
        ...

    async def capture(
        self, order_id: str, authorisation_id: str, total_cents: int, *, key: str
    ) -> Captured | Lapsed | Refused:
        """Take the money that is held, at most once."""
        ...

    async def refund(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """Give back whatever was taken under the key `original`, and refuse that key from now on."""
        ...


class HttpCards:
    """The card system over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def authorise(
        self, order_id: str, card: str, total_cents: int, *, key: str
    ) -> Authorised | Declined | Refused:
        """See `Cards`."""
        body = {"order_id": order_id, "card": card, "total_cents": total_cents}
        return read_authorisation(*await self._post("/authorisations", body, key))

    async def void(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `Cards`."""
        return read_void(*await self._post("/voids", {"order_id": order_id, "original": original}, key))

    async def capture(
        self, order_id: str, authorisation_id: str, total_cents: int, *, key: str
    ) -> Captured | Lapsed | Refused:
        """See `Cards`."""
        body = {"order_id": order_id, "authorisation_id": authorisation_id, "total_cents": total_cents}
        return read_capture(*await self._post("/captures", body, key))

    async def refund(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `Cards`."""
        return read_refund(*await self._post("/refunds", {"order_id": order_id, "original": original}, key))

    async def _post(self, path: str, body: dict[str, object], key: str) -> tuple[int, dict[str, object]]:
        async with self._http.post(self._url + path, json=body, headers={"Idempotency-Key": key}) as answer:
            if is_failure(answer.status):
                answer.raise_for_status()
            return answer.status, await answer.json()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Cards]:
    """The card system, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpCards(http, settings.cards_url)


card_api = Breaker(
    "card-api",
    failures=(aiohttp.ClientError, TimeoutError),
    after=5,
    open_for=timedelta(seconds=10),
    longest=timedelta(seconds=30),
    ramp=4,
)
payments = Service("payments", owner="team-money", settings=Settings, uses=uses, tables=tables)
