"""The kit's settings."""

import pytest
from pydantic import ValidationError

from hocket.config import MAX_EVENT_BYTES, Config


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Config.model_fields:
        monkeypatch.delenv(f"HOCKET_{name.upper()}", raising=False)


def test_everything_has_a_default() -> None:
    """A developer's machine needs no setting: a local broker, a file a service, only this machine may call."""
    config = Config()
    assert config.broker_url.startswith("amqp://")
    assert config.database_of("payments") == "sqlite:///var/payments.db"
    assert (config.http_host, config.max_event_bytes) == ("127.0.0.1", MAX_EVENT_BYTES)


def test_names_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/settings.md: other programs rely on these names."""
    given = {
        "HOCKET_BROKER_URL": "memory://", "HOCKET_DATABASE_URL": "sqlite:////data/{service}/x.db",
        "HOCKET_LOG_LEVEL": "DEBUG", "HOCKET_HTTP_PORT": "9000", "HOCKET_MAX_EVENT_BYTES": "2048",
        "HOCKET_HTTP_HOST": "0.0.0.0", "HOCKET_DESK_URL": "http://desk:8081",
        "HOCKET_MANAGEMENT_URL": "http://rabbit:15672",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    config = Config()
    assert (config.broker_url, config.log_level, config.http_port) == ("memory://", "DEBUG", 9000)
    assert (config.max_event_bytes, config.http_host, config.desk_url) == (2048, "0.0.0.0", "http://desk:8081")
    assert config.management_url == "http://rabbit:15672"
    assert config.database_of("orders") == "sqlite:////data/orders/x.db"


@pytest.mark.parametrize(("name", "value"), [("HTTP_PORT", "70000"), ("HTTP_PORT", "web"), ("MAX_EVENT_BYTES", "0")])
def test_impossible_settings_are_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be meant is refused by its name."""
    monkeypatch.setenv(f"HOCKET_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Config()


def test_settings_do_not_change_while_it_runs() -> None:
    """What was read at the start holds to the end."""
    with pytest.raises(ValidationError):
        Config().http_port = 1
