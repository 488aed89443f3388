"""The first line of a service."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hocket.assembly.announcement import announce, where
from hocket.config import Config
from tests.hocket.sample_services import bells


def test_the_first_line_says_who_starts_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No password in it; an SQLite file with its whole path, and whether it is new: another folder, another file."""
    monkeypatch.chdir(tmp_path)
    config = Config.model_construct(broker_url="amqp://u:hunter2@rabbit:5672/shop")
    with capture_logs() as lines:
        announce(bells, config, 8010)
    first, new = lines
    assert (first["event"], first["service"], first["http"]) == ("starting", "bells", "http://127.0.0.1:8010")
    assert first["broker"] == "amqp://u:*****@rabbit:5672/shop"
    assert first["hears"] == ["bell.rung.v1"]
    assert "bell.echoed.v1" in first["says"]
    assert first["database"] == f"sqlite:///{tmp_path}/var/bells.db"
    assert new == {
        "event": "the database is new", "log_level": "info", "service": "bells", "database": first["database"],
    }  # fmt: skip
    (tmp_path / "var").mkdir()
    (tmp_path / "var/bells.db").touch()
    with capture_logs() as lines:
        announce(bells, config, 8010)
    assert [line["event"] for line in lines] == ["starting"]


def test_a_server_is_named_without_its_password() -> None:
    """As everywhere."""
    assert where("postgresql://u:hunter2@h/d") == "postgresql://u:*****@h/d"
