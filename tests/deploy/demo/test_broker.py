"""Which broker a demo takes."""

from pathlib import Path

import pytest

from deploy.demo import broker as brokers
from deploy.demo.place import Place, StepFailed
from deploy.demo.progress import Told


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of its own."""
    found = Place(tmp_path)
    found.log("docker").parent.mkdir(parents=True)
    return found


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without RabbitMQ and Docker, and with nothing named; programs are looked for in the folder given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("HOCKET_BROKER_URL", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(brokers, "find_programs", lambda: None)
    return folder


def test_a_named_broker_is_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What HOCKET_BROKER_URL names is taken; its password is not printed."""
    monkeypatch.setenv("HOCKET_BROKER_URL", "amqp://user:secret@broker.example/vhost")
    with brokers.broker(place, Told()) as found:
        assert (found.url, found.kind) == ("amqp://user:secret@broker.example/vhost", "rabbitmq")
    said = capsys.readouterr().out
    assert "broker.example" in said
    assert "secret" not in said


@pytest.mark.usefixtures("bare")
def test_nothing_there_is_memory(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Without RabbitMQ and Docker it is memory, said in one sentence with what to do for the real thing."""
    with brokers.broker(place, Told()) as found:
        assert (found.url, found.kind) == ("memory://", "memory")
    [line] = capsys.readouterr().out.splitlines()
    assert "no RabbitMQ is installed and no Docker runs" in line
    assert "apt-get install" in line
    assert "HOCKET_BROKER_URL=" in line


def test_a_docker_that_does_not_answer_is_none(place: Place, bare: Path) -> None:
    """Docker is taken only where `docker info` answers."""
    _program(bare / "docker", "exit 1")
    with brokers.broker(place, Told()) as found:
        assert found.kind == "memory"


def test_a_container_that_cannot_start_is_told(place: Place, bare: Path) -> None:
    """A container that cannot be started: the step, and where its log is; what may stand is removed."""
    _program(bare / "docker", f'echo "$1" >> {bare}/asked; case "$1" in run) echo "no image" >&2; exit 125;; esac')
    with (
        pytest.raises(StepFailed, match=r"start rabbitmq:4-management in a container.*var/demo/logs/docker\.log"),
        brokers.broker(place, Told()),
    ):
        raise AssertionError("there is no broker")
    assert (bare / "asked").read_text(encoding="utf-8").split() == ["info", "run", "rm"]
    assert "no image" in place.log("docker").read_text(encoding="utf-8")


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
