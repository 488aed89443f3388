"""The service, its settings, and the card system outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.payments.domain import Charged, Declined, Refunded, Refused, read_charge, read_refund
from services.payments.storage import tables


class Settings(BaseSettings):
    """Where the card system is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", frozen=True)

    cards_url: str = Field(default="http://127.0.0.1:8009/cards", description="address of the card system")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Cards(Protocol):
    """The card system; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def charge(self, order_id: str, card: str, total_cents: int, *, key: str) -> Charged | Declined | Refused:
        """Charge a card, at most once per key."""
        ...

    async def refund(self, order_id: str, *, key: str, original: str) -> Refunded | Refused:
        """Give back whatever was charged under the key `original`, and refuse that key from now on."""
        ...


class HttpCards:
    """The card system over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def charge(self, order_id: str, card: str, total_cents: int, *, key: str) -> Charged | Declined | Refused:
        """See `Cards`."""
        return read_charge(
            *await self._post("/charges", {"order_id": order_id, "card": card, "total_cents": total_cents}, key)
        )

    async def refund(self, order_id: str, *, key: str, original: str) -> Refunded | Refused:
        """See `Cards`."""
        return read_refund(*await self._post("/refunds", {"order_id": order_id, "original": original}, key))

    async def _post(self, path: str, body: dict[str, object], key: str) -> tuple[int, dict[str, object]]:
        async with self._http.post(self._url + path, json=body, headers={"Idempotency-Key": key}) as answer:
            if answer.status >= 500:
                answer.raise_for_status()
            return answer.status, await answer.json()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Cards]:
    """The card system, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpCards(http, settings.cards_url)


card_api = Breaker(
    "card-api", failures=(aiohttp.ClientError, TimeoutError), after=5, open_for=timedelta(seconds=10), ramp=4
)
payments = Service("payments", owner="team-money", settings=Settings, uses=uses, tables=tables)
