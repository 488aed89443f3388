"""Where the services of a run keep their data, and how an outsider reads it."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from deploy.database.server import PostgresServer
from tests.crash.plan import SERVICES


class Databases(Protocol):
    """The databases of a run; `server` says whether there is a server that can be stopped."""

    name: str
    server: bool

    def start(self) -> None:
        """Start, or start again on the same data."""
        ...

    def stop(self) -> None:
        """Stop at once, as a power cut does."""
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...

    def url_template(self) -> str:
        """What the services are given; `{service}` stands for the name."""
        ...

    def outside_url(self, service: str) -> str:
        """Where the checker reads one service's effects."""
        ...


class SqliteFiles:
    """One file a service."""

    name = "sqlite"
    server = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""

    def url_template(self) -> str:
        """A file in the run's folder."""
        return f"sqlite:///{self._folder / '{service}.db'}"

    def outside_url(self, service: str) -> str:
        """The same file."""
        return self.url_template().replace("{service}", service)


class PostgresDatabases:
    """One private server, one database a service."""

    name = "postgres"
    server = True

    def __init__(self, folder: Path, services: Sequence[str] = SERVICES) -> None:
        self._server = PostgresServer(folder / "postgres")
        self._services = services
        self._made = False

    def start(self) -> None:
        """Start the server, the first time with an empty database for each service."""
        self._server.start()
        if not self._made:
            self._made = True
            for service in self._services:
                self._server.add_database(service)

    def stop(self) -> None:
        """Stop the server as a power cut does."""
        self._server.kill()

    def kill(self) -> None:
        """End the server by SIGKILL; `start` may need some tries until its backends have found out."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.kill()

    def close(self) -> None:
        """End the server and remove its data."""
        self._server.close()

    def url_template(self) -> str:
        """A database named after the service."""
        return self._server.url("SERVICE").replace("SERVICE", "{service}")

    @property
    def log(self) -> Path:
        """What the server has said."""
        return self._server.log

    def deadlocks(self) -> dict[str, int]:
        """How many deadlocks the server has broken in each service's database."""
        rows = self._server.sql("SELECT datname, deadlocks FROM pg_stat_database WHERE datname IS NOT NULL").split()
        found = dict(row.split("|") for row in rows)
        return {service: int(found[service]) for service in self._services}

    def outside_url(self, service: str) -> str:
        """The same database, as SQLAlchemy names it."""
        return self._server.url(service).replace("postgresql://", "postgresql+asyncpg://", 1)
