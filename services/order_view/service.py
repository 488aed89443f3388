"""The service and its settings; it needs nothing outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Service
from services.order_view.domain import Customers

#: Longest key of a keyed hash, in bytes.
MAX_KEY_BYTES = 64


class Settings(BaseSettings):
    """What makes the ids of customers."""

    model_config = SettingsConfigDict(env_prefix="ORDER_VIEW_", frozen=True)

    customer_key: SecretStr = Field(
        default=SecretStr("for a trial only and not a secret"),
        min_length=16,
        description="secret that makes customers' ids from their addresses; with another one rebuild the view",
    )


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Customers]:
    """What gives customers their ids."""
    yield Customers(settings.customer_key.get_secret_value().encode()[:MAX_KEY_BYTES])


order_view = Service("order_view", owner="team-shop", settings=Settings, uses=uses)
