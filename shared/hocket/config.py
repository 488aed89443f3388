"""The kit's settings: the only reader of the environment."""

from datetime import timedelta

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Default bound of one event on the wire, in bytes.
MAX_EVENT_BYTES = 1024 * 1024
#: Longest retention, in days.
MOST_DAYS = 36_500


class Config(BaseSettings):
    """What a process of hocket reads from the environment (docs/settings.md); OpenTelemetry reads `OTEL_*` itself."""

    model_config = SettingsConfigDict(env_prefix="HOCKET_", frozen=True)

    broker_url: str = Field(
        default="amqp://guest:guest@127.0.0.1:5672/", description="amqp://, amqps://, several, or memory://"
    )
    database_url: str = Field(default="sqlite:///var/{service}.db", description="{service} is replaced by the name")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    http_port: int = Field(default=8000, ge=0, le=65535, description="used where `hocket run` names no port")
    http_host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    max_event_bytes: int = Field(default=MAX_EVENT_BYTES, gt=0, description="bound of one event on the wire, bytes")
    desk_url: str = Field(default="http://127.0.0.1:8081", description="where `hocket dead` finds the desk")

    management_url: str = Field(
        default="", description="RabbitMQ's management API, http://HOST:15672 beside the first broker where it is empty"
    )

    inbox_days: float = Field(default=30, gt=0, le=MOST_DAYS, description="how long what was handled is remembered")
    ledger_days: float = Field(default=30, gt=0, le=MOST_DAYS, description="how long step runs can still be undone")
    dead_days: float = Field(default=365, gt=0, le=MOST_DAYS, description="how long the rows of dead letters are kept")

    @model_validator(mode="after")
    def _remember_long_enough(self) -> "Config":
        """A step run and a letter must not be forgotten before the event that they belong to (RULES 2.7)."""
        if min(self.ledger_days, self.dead_days) < self.inbox_days:
            raise ValueError(
                f"HOCKET_INBOX_DAYS is {self.inbox_days:g}, HOCKET_LEDGER_DAYS {self.ledger_days:g} and "
                f"HOCKET_DEAD_DAYS {self.dead_days:g}: give the last two at least as many days as the first"
            )
        return self

    def retention(self) -> tuple[timedelta, timedelta, timedelta]:
        """How long inbox rows, rows of dead letters and ledger rows are kept."""
        return timedelta(days=self.inbox_days), timedelta(days=self.dead_days), timedelta(days=self.ledger_days)

    def database_of(self, service: str) -> str:
        """The database URL of one service."""
        return self.database_url.replace("{service}", service)
