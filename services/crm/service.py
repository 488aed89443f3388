"""The service, its settings, and the customer system outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.crm.domain import contact_of, entry_of
from services.crm.events import LeadCaptured
from services.crm.storage import tables


class Settings(BaseSettings):
    """Where the customer system is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="CRM_", frozen=True)

    url: str = Field(default="http://127.0.0.1:8009/crm", description="address of the customer system")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Customers(Protocol):
    """The customer system; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def enter(self, lead: LeadCaptured, *, key: str) -> str:
        """Enter a lead, at most once per key, and return its contact id."""
        ...


class HttpCustomers:
    """The customer system over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def enter(self, lead: LeadCaptured, *, key: str) -> str:
        """See `Customers`."""
        headers = {"Idempotency-Key": key}
        async with self._http.post(f"{self._url}/leads", json=entry_of(lead), headers=headers) as answer:
            answer.raise_for_status()
            return contact_of(await answer.json())


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Customers]:
    """The customer system, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpCustomers(http, settings.url)


crm_api = Breaker(
    "crm-api",
    failures=(aiohttp.ClientError, TimeoutError),
    after=5,
    open_for=timedelta(seconds=10),
    longest=timedelta(seconds=30),
    ramp=4,
)
crm = Service("crm", owner="team-crm", settings=Settings, uses=uses, tables=tables)
