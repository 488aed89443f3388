"""Declares the tracer: an observer of the log and of the receipts, with its settings and its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.observe import Observer
from services.tracer.keep.tables import tables


class Settings(BaseSettings):
    """The address of the other console, for links."""

    model_config = SettingsConfigDict(env_prefix="TRACER_", frozen=True)

    desk_url: str = "http://127.0.0.1:8081"


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Settings]:
    """The tracer uses nothing outside but its settings."""
    yield settings


tracer = Observer("tracer", owner="team-platform", settings=Settings, uses=uses, tables=tables)
