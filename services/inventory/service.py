"""The service, its settings, and the shop system outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.inventory.domain import Refused, Reserved, SoldOut, is_failure, read_release, read_reservation
from services.inventory.storage import tables


class Settings(BaseSettings):
    """Where the shop system is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="INVENTORY_", frozen=True)

    stock_url: str = Field(default="http://127.0.0.1:8009/stock", description="address of the shop system")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Stock(Protocol):
    """The shop system; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def reserve(self, order_id: str, sku: str, quantity: int, *, key: str) -> Reserved | SoldOut | Refused:
        """Take goods, at most once per key."""
        ...

    async def release(self, order_id: str, *, key: str, original: str) -> Refused | None:
        """Give back whatever was taken under the key `original`, and refuse that key from now on."""
        ...


class HttpStock:
    """The shop system over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def reserve(self, order_id: str, sku: str, quantity: int, *, key: str) -> Reserved | SoldOut | Refused:
        """See `Stock`."""
        body = {"order_id": order_id, "sku": sku, "quantity": quantity}
        return read_reservation(*await self._post("/reservations", body, key))

    async def release(self, order_id: str, *, key: str, original: str) -> Refused | None:
        """See `Stock`."""
        return read_release(*await self._post("/releases", {"order_id": order_id, "original": original}, key))

    async def _post(self, path: str, body: dict[str, object], key: str) -> tuple[int, dict[str, object]]:
        async with self._http.post(self._url + path, json=body, headers={"Idempotency-Key": key}) as answer:
            if is_failure(answer.status):
                answer.raise_for_status()
            return answer.status, await answer.json()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Stock]:
    """The shop system, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpStock(http, settings.stock_url)


stock_api = Breaker(
    "stock-api",
    failures=(aiohttp.ClientError, TimeoutError),
    after=5,
    open_for=timedelta(seconds=10),
    longest=timedelta(seconds=30),
    ramp=4,
)
inventory = Service("inventory", owner="team-stock", settings=Settings, uses=uses, tables=tables)
