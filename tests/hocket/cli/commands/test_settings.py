"""`hocket settings`: every setting with its value, default, unit and meaning."""

import json
import os
from pathlib import Path

import pytest

from hocket.config import Config
from tests.hocket.cli.terminal import Terminal
from tests.house.settings_page import PAGE, written

SERVICE = '''
"""A service with settings of its own."""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Service


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HOCKET_BELLS_")
    loud: int = 1


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Settings]:
    yield settings


bells = Service("bells", owner="team-tower", settings=Settings, uses=uses)
'''


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("HOCKET_")]:
        monkeypatch.delenv(name)


def test_the_page_is_written_from_the_code() -> None:
    """docs/settings.md says what the code does; `make house` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == written()


def test_each_setting_is_a_line(hocket: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs from the default is marked."""
    monkeypatch.setenv("HOCKET_STOP_SECONDS", "2.5")
    ended = hocket("settings")
    assert (ended.status, ended.err) == (0, "")
    head, *lines = ended.out.splitlines()
    assert head.split() == ["NAME", "VALUE", "DEFAULT", "UNIT", "MEANING"]
    assert len(lines) == len(Config.model_fields)
    [marked] = [line for line in lines if line.startswith("*")]
    assert marked.split()[:5] == ["*", "HOCKET_STOP_SECONDS", "2.5", "10", "s"]


def test_no_password_is_printed(hocket: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a table and not as JSON."""
    schemes = {"BROKER": "amqp", "DATABASE": "postgresql", "DESK": "http", "MANAGEMENT": "https"}
    for name, scheme in schemes.items():
        monkeypatch.setenv(f"HOCKET_{name}_URL", f"{scheme}://shop:hunter2@rabbit/shop")
    for words in (["settings"], ["settings", "--json"]):
        out = hocket(*words).out
        assert "hunter2" not in out
        assert all(f"{scheme}://shop:*****@rabbit/shop" in out for scheme in schemes.values())


def test_json(hocket: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with everything that docs/settings.md says."""
    monkeypatch.setenv("HOCKET_PREFETCH", "7")
    found = {each["name"]: each for each in json.loads(hocket("settings", "--json").out)}
    prefetch = found["HOCKET_PREFETCH"]
    assert (prefetch["value"], prefetch["default"], prefetch["unit"]) == ("7", "256", "deliveries")
    assert (prefetch["allowed"], prefetch["changed"]) == ("a whole number from 1 to 2000", True)
    assert [name for name, each in found.items() if each["changed"]] == ["HOCKET_PREFETCH"]


def test_an_invalid_setting_ends_it(hocket: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every command that reads settings: status 2 and a sentence."""
    monkeypatch.setenv("HOCKET_OUTBOX_SENDERS", "0")
    ended = hocket("settings")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "hocket: HOCKET_OUTBOX_SENDERS is '0': write a whole number from 1 to 100\n"


def test_a_misspelt_variable_is_named(hocket: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, and the command goes on."""
    monkeypatch.setenv("HOCKET_PREFECTH", "7")
    ended = hocket("settings", "--json")
    assert (ended.status, len(json.loads(ended.out))) == (0, len(Config.model_fields))
    assert ended.err == "hocket: HOCKET_PREFECTH is no setting and changes nothing; did you mean HOCKET_PREFETCH?\n"


def test_a_service_may_not_read_the_kits_variables(
    hocket: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A team's settings with the kit's prefix are refused at import: each such variable is known or a mistake."""
    (folder / "bells.py").write_text(SERVICE, encoding="utf-8")
    monkeypatch.setenv("HOCKET_WHATEVER", "3")
    assert "HOCKET_WHATEVER is no setting and changes nothing; did you mean HOCKET_" in hocket("settings").err
    ended = hocket("check", "bells")
    assert ended.status == 2
    assert "Settings reads HOCKET_BELLS_LOUD, and HOCKET_… are the kit's own settings" in ended.err


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("BROKER_URL", "http://guest:hunter2@x", "HOCKET_BROKER_URL is 'http://guest:*****@x': begin it with amqp://"),
        ("BROKER_URL", "amqp:///x", "the broker's URL is invalid"),
        ("DATABASE_URL", "mysql://u:hunter2@x/y", "HOCKET_DATABASE_URL is 'mysql://u:*****@x/y': begin it with sqlite"),
        ("DESK_URL", "127.0.0.1:8081", "HOCKET_DESK_URL is '127.0.0.1:8081': begin it with http://"),
    ],
)
def test_an_address_that_no_driver_takes_is_refused(
    name: str, value: str, sentence: str, hocket: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hocket settings` does not print as valid what `hocket run` refuses."""
    monkeypatch.setenv(f"HOCKET_{name}", value)
    ended = hocket("settings")
    assert (ended.status, ended.out) == (2, "")
    assert sentence in ended.err
    assert "hunter2" not in ended.err
