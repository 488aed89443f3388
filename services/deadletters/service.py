"""The dead-letter desk: a service that reads what was given up and what became of it, and sends a letter again."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.observe import Observer
from services.deadletters.keep.tables import tables


class Settings(BaseSettings):
    """Where the other console is, for links."""

    model_config = SettingsConfigDict(env_prefix="DESK_", frozen=True)

    tracer_url: str = "http://127.0.0.1:8080"


deadletters = Observer("deadletters", owner="team-platform", tables=tables)
