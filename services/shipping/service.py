"""The service, its settings, and the carrier outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.shipping.domain import Booked, NotCarried, Refused, is_failure, read_parcel, read_recall
from services.shipping.storage import tables


class Settings(BaseSettings):
    """Where the carrier is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="SHIPPING_", frozen=True)

    carrier_url: str = Field(default="http://127.0.0.1:8009/carrier", description="address of the carrier")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Carrier(Protocol):
    """The carrier; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def book(self, order_id: str, sku: str, quantity: int, *, key: str) -> Booked | NotCarried | Refused:
        """Hand over a parcel, at most once per key."""
        ...

    async def recall(self, order_id: str, *, key: str, original: str) -> str | Refused:
        """Call back whatever was booked under the key `original`, and refuse that key from now on."""
        ...


class HttpCarrier:
    """The carrier over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def book(self, order_id: str, sku: str, quantity: int, *, key: str) -> Booked | NotCarried | Refused:
        """See `Carrier`."""
        body = {"order_id": order_id, "sku": sku, "quantity": quantity}
        return read_parcel(*await self._post("/parcels", body, key))

    async def recall(self, order_id: str, *, key: str, original: str) -> str | Refused:
        """See `Carrier`."""
        return read_recall(*await self._post("/recalls", {"order_id": order_id, "original": original}, key))

    async def _post(self, path: str, body: dict[str, object], key: str) -> tuple[int, dict[str, object]]:
        async with self._http.post(self._url + path, json=body, headers={"Idempotency-Key": key}) as answer:
            if is_failure(answer.status):
                answer.raise_for_status()
            return answer.status, await answer.json()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Carrier]:
    """The carrier, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpCarrier(http, settings.carrier_url)


carrier_api = Breaker(
    "carrier-api",
    failures=(aiohttp.ClientError, TimeoutError),
    after=5,
    open_for=timedelta(seconds=10),
    longest=timedelta(seconds=30),
    ramp=4,
)
shipping = Service("shipping", owner="team-parcels", settings=Settings, uses=uses, tables=tables)
