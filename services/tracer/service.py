"""Declares the tracer: an observer of the log and of the receipts, with its settings and its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.observe import Observer
from services.tracer.ask.own import Bounds
from services.tracer.keep.forgetting import Keep
from services.tracer.keep.tables import tables


class Settings(BaseSettings):
    """What an operator may tune, by `TRACER_…`."""

    model_config = SettingsConfigDict(env_prefix="TRACER_", frozen=True)

    #: The address of the other console, for links.
    desk_url: str = "http://127.0.0.1:8081"
    #: Days for which a flow is kept after its last fact: one that has ended, and any other.
    keep_days: int = Field(default=30, ge=1, le=3650)
    keep_open_days: int = Field(default=365, ge=1, le=3650)
    #: What the streams hold at most: as declared, or as a policy of the broker says.
    stream_hours: int = Field(default=168, ge=1)
    stream_gb: float = Field(default=20.0, gt=0)

    @property
    def keep(self) -> Keep:
        """How long flows are kept; what is open is never forgotten before what has ended."""
        return Keep(timedelta(days=self.keep_days), timedelta(days=max(self.keep_days, self.keep_open_days)))

    @property
    def bounds(self) -> Bounds:
        """What a stream holds at most."""
        return Bounds(self.stream_hours, self.stream_gb * 1e9)


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Settings]:
    """The tracer uses nothing outside but its settings."""
    yield settings


tracer = Observer("tracer", owner="team-platform", settings=Settings, uses=uses, tables=tables)
