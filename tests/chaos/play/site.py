"""Where one run lives: its folder, its replicas, their ports and databases."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.broker.node import free_ports
from deploy.demo.place import Place
from tests.chaos.shop import OBSERVERS, OUTSIDE, TEAMS

#: Connections of one replica to PostgreSQL: all of them together are fewer than the server takes.
POOLS = {"HOCKET_POSTGRES_POOL": "4", "HOCKET_POSTGRES_KIT_POOL": "2", "HOCKET_POSTGRES_READ_POOL": "2"}

ROOT = Path(__file__).resolve().parents[3]


def replica_of(service: str, number: int) -> str:
    """The name of a replica: the first one has the service's own."""
    return service if number == 1 else f"{service}-{number}"


def service_of(replica: str) -> str:
    """The service of a replica."""
    return replica.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Site(Place):
    """One run's own place on this machine; a port is a replica's."""

    name: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    database_url: str = ""  # `{service}` stands for the name; "": one SQLite file a service

    @property
    def folder(self) -> Path:
        """Everything that this run writes."""
        return self.root / "var" / "chaos" / self.name

    @property
    def findings(self) -> Path:
        """What a red run leaves behind."""
        return self.folder / "findings.json"

    def port(self, service: str) -> int:
        """The port of a replica."""
        return self.ports[service]

    def environment(self, broker_url: str) -> dict[str, str]:
        """What each service of this run is told; tracer, desk and the outside world keep their own files."""
        told = Place.environment(self, broker_url) | {"HOCKET_LOG_LEVEL": "INFO", "HOCKET_LOG_FORMAT": "json"}
        return told | ({"HOCKET_DATABASE_URL": self.database_url} | POOLS if self.database_url else {})

    def watcher_environment(self, broker_url: str) -> dict[str, str]:
        """What the outside world, the tracer and the desk are told."""
        return replace(self, database_url="").environment(broker_url)

    def replicas_of(self, service: str) -> list[str]:
        """The names of all replicas of a service."""
        return [each for each in self.ports if service_of(each) == service]


def site(name: str, replicas: int) -> Site:
    """A place of its own, made afresh, on ports that nobody uses."""
    names = [OUTSIDE, *OBSERVERS, *(replica_of(each, number) for each in TEAMS for number in range(1, replicas + 1))]
    found = Site(ROOT, name=name, ports=dict(zip(names, free_ports(len(names)), strict=True)))
    shutil.rmtree(found.folder, ignore_errors=True)
    for folder in ("logs", "data", "clocks"):
        (found.folder / folder).mkdir(parents=True)
    return found
