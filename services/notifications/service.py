"""The service, its settings, and the mail system outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Protocol

import aiohttp
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Breaker, Service
from services.notifications.domain import Mail
from services.notifications.storage import tables


class Settings(BaseSettings):
    """Where the mail system is, and how long it may take."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATIONS_", frozen=True)

    mail_url: str = Field(default="http://127.0.0.1:8009/mail", description="address of the mail system")
    timeout_seconds: float = Field(default=1.0, gt=0, description="how long one call may take")


class Post(Protocol):
    """The mail system; a call that fails raises `aiohttp.ClientError` or `TimeoutError`: it may have happened."""

    async def send(self, mail: Mail, *, key: str) -> None:
        """Send a mail, at most once per key."""
        ...


class HttpPost:
    """The mail system over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def send(self, mail: Mail, *, key: str) -> None:
        """See `Post`."""
        headers = {"Idempotency-Key": key}
        async with self._http.post(f"{self._url}/messages", json=asdict(mail), headers=headers) as answer:
            answer.raise_for_status()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Post]:
    """The mail system, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield HttpPost(http, settings.mail_url)


mail_api = Breaker(
    "mail-api",
    failures=(aiohttp.ClientError, TimeoutError),
    after=5,
    open_for=timedelta(seconds=10),
    longest=timedelta(seconds=30),
    ramp=4,
)
notifications = Service("notifications", owner="team-crm", settings=Settings, uses=uses, tables=tables)
