"""The kit's settings."""

import os

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import ValidationError

from hocket.assembly.unknown_variables import unknown
from hocket.config import GROUPS, HIDDEN, Config, masked
from hocket.errors import ConfigError
from hocket.setting_groups import MAX_EVENT_BYTES


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("HOCKET_")]:
        monkeypatch.delenv(name)


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


def test_every_setting_is_of_one_group_and_says_what_it_is() -> None:
    """A unit and a meaning; a number has a lower and an upper bound, and its default lies within."""
    grouped = [name for group in GROUPS for name in group.model_fields]
    assert sorted(grouped) == sorted(Config.model_fields)
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["unit"], name
        if field.annotation in {int, float}:
            bounds = {type(each) for each in field.metadata}
            assert Le in bounds, name
            assert bounds & {Ge, Gt}, name
    assert Config.model_validate(Config().model_dump()) == Config()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HTTP_PORT", "70000", "HOCKET_HTTP_PORT is '70000': write a whole number from 0 to 65535"),
        ("HTTP_PORT", "web", "HOCKET_HTTP_PORT is 'web': write a whole number from 0 to 65535"),
        ("MAX_EVENT_BYTES", "0", "HOCKET_MAX_EVENT_BYTES is '0': write a whole number from 1 to 536870912"),
        ("STOP_SECONDS", "-1", "HOCKET_STOP_SECONDS is '-1': write a number from 0 to 3600"),
        ("STOP_SECONDS", "nan", "HOCKET_STOP_SECONDS is 'nan': write a number from 0 to 3600"),
        ("INBOX_DAYS", "0", "HOCKET_INBOX_DAYS is '0': write a number above 0, at most 36500"),
        ("LOG_LEVEL", "loud", "HOCKET_LOG_LEVEL is 'LOUD': write DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_an_invalid_setting_is_refused_with_what_is_allowed(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ConfigError` with the variable's name, its value and the bounds."""
    monkeypatch.setenv(f"HOCKET_{name}", value)
    with pytest.raises(ConfigError) as refused:
        Config.read()
    assert str(refused.value) == sentence


def test_all_invalid_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts a service five times to find five mistakes."""
    monkeypatch.setenv("HOCKET_HTTP_PORT", "web")
    monkeypatch.setenv("HOCKET_PREFETCH", "0")
    with pytest.raises(ConfigError, match=r"HOCKET_HTTP_PORT.*") as refused:
        Config.read()
    assert "HOCKET_PREFETCH is '0': write a whole number from 1 to 2000" in str(refused.value)


def test_contradictions_are_named_beside_what_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them; none with a setting that is invalid itself."""
    for name, value in {"HTTP_PORT": "web", "INBOX_DAYS": "x", "LEDGER_DAYS": "3", "EXIT_SECONDS": "5"}.items():
        monkeypatch.setenv(f"HOCKET_{name}", value)
    monkeypatch.setenv("HOCKET_PSEUDONYM_KEY", "short")
    with pytest.raises(ConfigError) as refused:
        Config.read()
    found = str(refused.value)
    for part in (
        "HTTP_PORT is 'web'",
        "INBOX_DAYS is 'x'",
        "EXIT_SECONDS is 5 and",
        "PSEUDONYM_KEY has a key of fewer",
    ):
        assert f"HOCKET_{part}" in found
    assert "LEDGER_DAYS" not in found
    assert "short" not in found


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"DEAD_DAYS": "3"}, "HOCKET_DEAD_DAYS 3: give the last two at least as many days as the first"),
        ({"OWNER_RENEW_SECONDS": "8"}, "HOCKET_OWNER_LEASE_SECONDS 15: renew at least twice within the lease"),
        ({"OUTBOX_MEMORY_ROWS": "32"}, "HOCKET_OUTBOX_MEMORY_ROWS 32: keep at least one batch in memory"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    given: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names both and the way out."""
    for name, value in given.items():
        monkeypatch.setenv(f"HOCKET_{name}", value)
    with pytest.raises(ConfigError, match=sentence):
        Config.read()


def test_settings_do_not_change_while_it_runs() -> None:
    """What was read at the start holds to the end."""
    with pytest.raises(ValidationError):
        Config().http_port = 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("amqp://u:secret@a:5672/v", f"amqp://u:{HIDDEN}@a:5672/v"),
        ("amqp://u:s@ecret@a,b:5673,c/v", f"amqp://u:{HIDDEN}@a,b:5673,c/v"),
        ("amqp://u:secret@a/,amqps://v:secret@b/", f"amqp://u:{HIDDEN}@a/,amqps://v:{HIDDEN}@b/"),
        ("postgresql://u@h/d?sslpassword=secret&x=1", f"postgresql://u@h/d?sslpassword={HIDDEN}&x=1"),
        ("u:secret@a", f"u:{HIDDEN}@a"),
        ("sqlite:///var/{service}.db", "sqlite:///var/{service}.db"),
        ("memory://", "memory://"),
    ],
)
def test_an_address_is_shown_without_its_password(value: str, shown: str) -> None:
    """User, host and path are left, so that a mistake can be found."""
    assert masked("broker_url", value) == shown


def test_a_misspelt_variable_is_named_with_its_nearest_neighbour() -> None:
    """In small letters too; other programs' variables and links to a service named hocket are none."""
    given = {
        "HOCKET_BROKR_URL": "x", "hocket_stop_second": "3", "HOCKET_BROKER_URL": "memory://", "OTEL_SERVICE_NAME": "x",
        "HOCKET_RABBITMQ_PASSWORD": "x", "HOCKET_DESK_SERVICE_HOST": "10.0.0.1", "HOCKET_DESK_SERVICE_PORT_HTTP": "80",
        "HOCKET_DESK_PORT": "tcp://10.0.0.1:80", "HOCKET_DESK_PORT_80_TCP_ADDR": "10.0.0.1",
    }  # fmt: skip
    assert unknown(given) == [
        "HOCKET_BROKR_URL is no setting and changes nothing; did you mean HOCKET_BROKER_URL?",
        "hocket_stop_second is no setting and changes nothing; did you mean HOCKET_STOP_SECONDS?",
    ]


def test_what_is_set_for_a_database_that_is_not_in_use_is_named() -> None:
    """A pooler or a schema before SQLite: the address was forgotten, or the setting is left over."""
    given = {"HOCKET_POSTGRES_POOLING": "transaction", "HOCKET_POSTGRES_SCHEMA": "shop"}
    said = [
        f"{name} changes nothing: the database is SQLite (HOCKET_DATABASE_URL), not PostgreSQL"
        for name in sorted(given)
    ]
    assert unknown(given) == said
    assert unknown({**given, "HOCKET_DATABASE_URL": "sqlite:///x.db"}) == said
    assert unknown({**given, "HOCKET_DATABASE_URL": "postgresql://h/x"}) == []
