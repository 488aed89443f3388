"""Declares the desk: an observer of dead letters and receipts, with its settings and its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.observe import Observer
from services.deadletters.keep.tables import tables


class Settings(BaseSettings):
    """What an operator may tune, by `DESK_…`."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True)

    #: The address of the other console, for links.
    tracer_url: str = "http://127.0.0.1:8080"
    #: Days for which a settled letter is kept after its last death; one that waits for a person is kept for ever.
    keep_days: int = Field(default=90, ge=1, le=3650)

    @property
    def keep(self) -> timedelta:
        """How long settled letters are kept."""
        return timedelta(days=self.keep_days)


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Settings]:
    """The desk uses nothing outside but its settings."""
    yield settings


deadletters = Observer("deadletters", owner="team-platform", settings=Settings, uses=uses, tables=tables)
