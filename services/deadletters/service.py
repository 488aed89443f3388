"""Declares the desk: an observer of dead letters and receipts, with its settings and its tables."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.observe import Observer
from services.deadletters.keep.tables import tables


class Settings(BaseSettings):
    """The address of the other console, for links."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True)

    tracer_url: str = "http://127.0.0.1:8080"


deadletters = Observer("deadletters", owner="team-platform", tables=tables)
