"""Runs what docker-compose.yml says without containers: the same commands, environment and health checks.

Only what a container would give is mapped: host names to loopback, /data to a folder of the test, ports by an offset,
and the image's `hocket` and `python` to those of the running environment.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
#: Services that are not hocket's own.
FOREIGN = frozenset({"rabbitmq", "prometheus", "grafana"})
#: Longest time until every health check answers well, in seconds; the machine may be busy.
HEALTHY_SECONDS = 180
#: Pause between two looks at a health check, in seconds.
LOOK_SECONDS = 0.2
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^${}]*))?\}")
PORT = re.compile(r"(?<=:)(8\d{3})\b")


def load(path: str) -> dict[str, Any]:
    """A YAML file of the tree."""
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / path).read_text(encoding="utf-8"))
    return loaded


def filled(text: str, environment: Mapping[str, str]) -> str:
    """The text with its `${NAME:-default}` filled as compose fills them."""
    while VARIABLE.search(text):  # a default may have a variable too: the inner one first
        text = VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", text)
    return text


def image_says(word: str) -> str:
    """What the last stage of the Dockerfile says behind an instruction, continued lines joined."""
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    return next(line.removeprefix(f"{word} ") for line in last.splitlines() if line.startswith(f"{word} "))


def image_environment() -> dict[str, str]:
    """The environment that the image sets."""
    return dict(pair.split("=", 1) for pair in image_says("ENV").split())


@dataclass(frozen=True)
class Part:
    """One service as the compose file declares it."""

    name: str
    port: int
    command: list[str]
    environment: dict[str, str]
    health: list[str]
    grace: float


def parts() -> list[Part]:
    """Every service of hocket in the compose file."""
    entrypoint: list[str] = json.loads(image_says("ENTRYPOINT"))
    found = []
    for name, said in load("docker-compose.yml")["services"].items():
        if name not in FOREIGN:
            environment = image_environment() | {
                key: filled(str(value), {}) for key, value in said["environment"].items()
            }
            kind, *health = said["healthcheck"]["test"]
            assert kind == "CMD", f"{name}: a health check that needs a shell"
            grace = float(said["stop_grace_period"].removesuffix("s"))
            port = int(said["command"][0].rpartition(":")[2])
            found.append(Part(name, port, entrypoint + said["command"], environment, health, grace))
    return found


@dataclass
class Shop:
    """The running services of the compose file, on loopback, their ports shifted by `offset`."""

    folder: Path
    broker_url: str
    offset: int
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """Where a service listens."""
        return f"http://127.0.0.1:{next(part.port for part in parts() if part.name == name) + self.offset}"

    def log(self, name: str) -> str:
        """The last lines of what a service wrote."""
        return "\n".join((self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def workplace(self, name: str) -> Path:
        """The folder in which a service runs; in its container it cannot be written."""
        return self.folder / "app" / name

    def mapped(self, name: str, text: str) -> str:
        """What a container's network and volume would make of `text`, on loopback and in a folder."""
        hosts = "|".join(part.name for part in parts())
        text = re.sub(rf"//({hosts}):", "//127.0.0.1:", text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("/data/", f"{self.folder / name}/")
        return PORT.sub(lambda found: str(int(found[1]) + self.offset), text)

    def _environment(self, part: Part) -> dict[str, str]:
        mapped = {key: self.mapped(part.name, value) for key, value in part.environment.items()}
        bins = f"{Path(sys.executable).parent}:{os.defpath}"
        return mapped | {"HOCKET_BROKER_URL": self.broker_url, "PYTHONPATH": str(ROOT), "PATH": bins}

    def _program(self, part: Part, words: list[str]) -> list[str]:
        program = shutil.which(words[0], path=str(Path(sys.executable).parent))
        assert program, f"{words[0]} is not installed beside {sys.executable}"
        return [program, *(self.mapped(part.name, word) for word in words[1:])]

    def start(self) -> None:
        """Start every service as its container would, and wait until its health check is content and it is ready."""
        for part in parts():
            (self.folder / part.name).mkdir(parents=True)
            place = self.workplace(part.name)
            place.mkdir(parents=True)
            with (self.folder / f"{part.name}.log").open("wb") as log:
                self.started[part.name] = subprocess.Popen(
                    self._program(part, part.command), cwd=place, env=self._environment(part), stdout=log, stderr=log
                )
        until = time.monotonic() + HEALTHY_SECONDS
        for part in parts():
            while not (self.healthy(part) and self.ready(part)):
                ended = self.started[part.name].poll()
                assert ended is None, f"{part.name} ended with {ended}:\n{self.log(part.name)}"
                assert time.monotonic() < until, f"{part.name} is not healthy:\n{self.log(part.name)}"
                time.sleep(LOOK_SECONDS)

    def healthy(self, part: Part) -> bool:
        """Run the part's own health check once."""
        checked = self._program(part, part.health)
        return subprocess.run(checked, env=self._environment(part), capture_output=True, check=False).returncode == 0

    def ready(self, part: Part) -> bool:
        """Whether the service says that it is ready."""
        try:
            with urlopen(f"{self.url(part.name)}/health/ready", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except HTTPError:  # 503: not yet
            return False

    def stop(self) -> dict[str, int]:
        """Stop as a container is stopped: SIGTERM, the grace period, SIGKILL. Returns each exit status."""
        for process in self.started.values():
            process.send_signal(signal.SIGTERM)
        ended = {}
        for part in parts():
            if part.name not in self.started:
                continue
            process = self.started.pop(part.name)
            try:
                ended[part.name] = process.wait(part.grace)
            except subprocess.TimeoutExpired:
                process.kill()
                ended[part.name] = process.wait()
        return ended
