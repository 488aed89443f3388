"""The containers: the compose file means what it says, and every service runs with exactly what it says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from hocket.assembly.unknown_variables import unknown
from hocket.config import Config
from tests.deploy.compose_without_containers import (
    FOREIGN,
    ROOT,
    Shop,
    filled,
    image_environment,
    image_says,
    load,
    parts,
)

PORTS = {
    "ingress": 8001,
    "orders": 8002,
    "payments": 8003,
    "inventory": 8004,
    "notifications": 8005,
    "crm": 8006,
    "order_view": 8007,
    "shipping": 8008,
    "sandbox": 8009,
    "scoring": 8011,
    "tracer": 8080,
    "deadletters": 8081,
}
BIN = Path(sys.executable).parent


def checked(*words: str) -> str:
    """What a checker says; empty when it is content."""
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def test_the_compose_file_keeps_its_schema() -> None:
    """docker-compose.yml is valid by the schema of the compose specification."""
    schema = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    assert checked(*schema) == ""


def test_the_dockerfile_is_lint_free() -> None:
    """hadolint has nothing to say about the Dockerfile, not even as information."""
    assert checked(str(BIN / "hadolint"), "--failure-threshold", "style", "deploy/Dockerfile") == ""


def test_the_image_runs_as_nobody_special() -> None:
    """The image's user is a number other than root's, and its entrypoint is `hocket run`."""
    assert image_says("USER").split(":")[0].isdigit()
    assert image_says("USER") != "0"
    assert json.loads(image_says("ENTRYPOINT")) == ["hocket", "run"]


def test_the_build_finds_what_it_copies() -> None:
    """Everything that the Dockerfile copies is there and is let through by .dockerignore."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), line
                assert any(name == source or name.startswith(f"{source}/") for name in let_through), line


def test_every_service_has_its_port_volume_and_health_check() -> None:
    """Every service has its port of the demo, published on loopback only, and a volume of its own."""
    assert {part.name: part.port for part in parts()} == PORTS
    compose = load("docker-compose.yml")
    for part in parts():
        said = compose["services"][part.name]
        assert said["ports"] == [f"127.0.0.1:{part.port}:{part.port}"]
        assert said["volumes"] == [f"{part.name}:/data"]
        assert f"127.0.0.1:{part.port}/health/live" in part.health[-1]
        assert part.environment["HOCKET_DATABASE_URL"] == "sqlite:////data/{service}.db"
    assert set(compose["volumes"]) == set(PORTS) | FOREIGN


def test_every_service_may_have_a_user_of_its_own() -> None:
    """Broker user and password are variables of each service, and Grafana's admin password is one."""
    compose = load("docker-compose.yml")
    for name in PORTS:
        said = compose["services"][name]["environment"]["HOCKET_BROKER_URL"]
        own = filled(said, {f"{name.upper()}_BROKER_USER": "own", f"{name.upper()}_BROKER_PASSWORD": "word"})
        assert own == "amqp://own:word@rabbitmq:5672/"
        assert filled(said, {"HOCKET_RABBITMQ_PASSWORD": "all"}) == "amqp://hocket:all@rabbitmq:5672/"
    admin = compose["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert filled(admin, {"HOCKET_GRAFANA_PASSWORD": "word"}) == "word"


def test_every_service_has_the_time_to_say_what_did_not_stop() -> None:
    """RULES 1.2: a container is killed only after the service would have ended itself."""
    for part in parts():
        exit_seconds = float(part.environment.get("HOCKET_EXIT_SECONDS", Config.model_construct().exit_seconds))
        assert part.grace > exit_seconds, part.name


def test_no_variable_of_the_compose_file_is_named_as_a_mistake() -> None:
    """A service that is started in the shell where they are set knows each of them."""
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert unknown(dict.fromkeys(re.findall(r"HOCKET_[A-Z_]+", compose), "x")) == []


def test_every_port_is_published_on_loopback_only() -> None:
    """Consoles and ports have no authentication: nothing is published beyond this machine."""
    for name, said in load("docker-compose.yml")["services"].items():
        assert all(each.startswith("127.0.0.1:") for each in said.get("ports", ())), name


def test_no_service_asks_a_neighbour_that_is_not_there() -> None:
    """Every address in an environment names a part of the compose file, and its port; who is asked answers to it."""
    known = PORTS | {"rabbitmq": 5672}
    allowed = {part.name: part.environment.get("HOCKET_ALLOWED_HOSTS", "").split(",") for part in parts()}
    for part in parts():
        for host, port in re.findall(r"//(?:[^@/]*@)?([\w.]+):(\d+)", " ".join(part.environment.values())):
            assert known[host] == int(port), f"{part.name}: {host}:{port}"
            assert host not in allowed or host in allowed[host], f"{host} answers 421 to {part.name}"


def test_every_foreign_image_is_pinned() -> None:
    """The images of others are named by version, and every part of the system has a health check."""
    for name, said in load("docker-compose.yml")["services"].items():
        assert said["image"].rpartition(":")[2][:1] in set("v0123456789"), name
        assert said["healthcheck"]["test"], name


def test_prometheus_scrapes_every_service() -> None:
    """prometheus.yml names every service of the compose file with its port, and the broker."""
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in load("deploy/prometheus/prometheus.yml")["scrape_configs"]
    }
    assert set(jobs["hocket"]) == {f"{name}:{port}" for name, port in PORTS.items()}
    assert jobs["rabbitmq"] == ["rabbitmq:15692"]


@pytest.mark.prometheus
def test_prometheus_takes_its_configuration() -> None:
    """promtool accepts prometheus.yml."""
    if (tool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    assert checked(tool, "check", "config", "deploy/prometheus/prometheus.yml") == ""


@pytest.mark.rabbitmq
def test_every_service_runs_with_what_the_compose_file_says(shop: Shop) -> None:
    """Started by exactly the command, environment and health check of the compose file every service is ready."""
    for part in parts():
        with urlopen(f"{shop.url(part.name)}/health/ready", timeout=5) as answer:
            assert json.load(answer)["ready"] is True, part.name
        with urlopen(f"{shop.url(part.name)}/metrics", timeout=5) as answer:
            assert "hocket_" in answer.read().decode(), part.name
        assert shop.healthy(part)


@pytest.mark.rabbitmq
@pytest.mark.prometheus
def test_every_page_of_metrics_keeps_the_format(shop: Shop) -> None:
    """promtool takes /metrics of each service, the two consoles among them, and finds nothing to say about it."""
    if (tool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for part in parts():
        with urlopen(f"{shop.url(part.name)}/metrics", timeout=5) as answer:
            page = answer.read()
        said = subprocess.run([tool, "check", "metrics"], input=page, capture_output=True, check=False)
        assert (said.returncode, said.stdout, said.stderr) == (0, b"", b""), part.name


@pytest.mark.rabbitmq
def test_every_service_keeps_its_data_on_its_volume(shop: Shop) -> None:
    """The database of each service lies on its own volume, and nothing is written where a container is read-only."""
    for part in parts():
        assert (shop.folder / part.name / f"{part.name}.db").exists()
        assert list(shop.workplace(part.name).iterdir()) == []


def test_the_image_listens_where_its_health_check_asks() -> None:
    """In the container every address is listened on, and nothing is written beside /data and /tmp."""
    assert image_environment()["HOCKET_HTTP_HOST"] == "0.0.0.0"
    assert image_environment()["PYTHONDONTWRITEBYTECODE"] == "1"
