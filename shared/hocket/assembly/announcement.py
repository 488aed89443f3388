"""The first line of a service: who starts, what it hears and says, and where its broker, database and port are."""

from pathlib import Path
from typing import Any

import structlog

from hocket import __version__
from hocket.assembly.drivers import SQLITE
from hocket.config import Config, masked
from hocket.service import Service


def announce(service: Service[Any], config: Config, port: int) -> None:
    """Write the line; addresses without their passwords, an SQLite file with its whole path."""
    declared = service.declarations
    database = config.database_of(service.name)
    log = structlog.get_logger("hocket")
    log.info(
        "starting",
        service=service.name,
        version=__version__,
        owner=service.owner,
        hears=sorted({_dotted(name) for each in declared.subscriptions.values() for name in each.bound}),
        says=sorted(_dotted(name) for name in declared.says),
        broker=masked("broker_url", config.broker_url),
        database=where(database),
        http=f"http://{config.http_host}:{port}",
    )
    if (path := _file(database)) is not None and not path.exists():
        log.info("the database is new", service=service.name, database=where(database))


def where(database: str) -> str:
    """The address of a database as people need it: without password, a file by its whole path."""
    path = _file(database)
    return masked("database_url", database) if path is None else f"{SQLITE}{path}"


def _file(database: str) -> Path | None:
    return Path(database.removeprefix(SQLITE)).absolute() if database.startswith(SQLITE) else None


def _dotted(name: tuple[str, int]) -> str:
    return f"{name[0]}.v{name[1]}"
