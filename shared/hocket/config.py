"""The kit's settings: the only reader of the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Default bound of one event on the wire, in bytes.
MAX_EVENT_BYTES = 1024 * 1024


class Config(BaseSettings):
    """What a process of hocket reads from the environment (DESIGN §9); standard `OTEL_*` is read by OpenTelemetry."""

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

    def database_of(self, service: str) -> str:
        """The database URL of one service."""
        return self.database_url.replace("{service}", service)
