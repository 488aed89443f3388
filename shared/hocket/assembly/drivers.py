"""Picks the drivers by the address of the broker and of the database; no other file does."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import BrokerAdmin, Transport
from hocket.broker.topology import kit
from hocket.clock import Clock, SystemClock
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service
from hocket.store.port import CrashableStore, OutboxView
from hocket.store.sqlite.file_lock import is_held as _file_is_held
from hocket.store.sqlite.outbox_view import SqliteOutboxView
from hocket.store.sqlite.store import MEMORY, SqliteStore

#: How the addresses of the two databases begin.
POSTGRES = ("postgresql://", "postgresql+asyncpg://")
SQLITE = "sqlite:///"


def in_memory(config: Config) -> bool:
    """Whether the broker is part of this process."""
    return config.broker_url.startswith("memory:")


def memory_broker(config: Config) -> MemoryBroker | None:
    """The broker of this process on `memory://`, else None; every transport of the process is given it."""
    return MemoryBroker() if in_memory(config) else None


def transport(name: str, config: Config, memory: MemoryBroker | None) -> Transport:
    """A transport of this service, not open yet; `ConfigError` where no driver knows the address's scheme."""
    if memory is not None:
        return MemoryTransport(memory, name)
    scheme = urlsplit(config.broker_url).scheme
    if scheme in {"amqp", "amqps"}:
        from hocket.broker.rabbitmq import RabbitTransport

        return RabbitTransport(config.broker_url, name)
    raise ConfigError(
        f"HOCKET_BROKER_URL begins with {scheme or 'nothing'}://: set it to amqp://…, amqps://… or memory://"
    )


def store(name: str, config: Config, clock: Clock, boot: str) -> CrashableStore:
    """The store of this service, not open yet; `ConfigError` where no driver knows the address's scheme."""
    url = config.database_of(name)
    if url.startswith(POSTGRES):
        from hocket.store.postgres.store import PostgresStore

        return PostgresStore(
            url,
            clock=clock,
            boot=boot,
            schema=config.schema_of(name),
            settings=config,
            transaction_seconds=config.transaction_seconds,
        )
    if not url.startswith(SQLITE):
        raise ConfigError(
            f"HOCKET_DATABASE_URL is {urlsplit(url).scheme}://… and hocket keeps its data in sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/DATABASE, one for each service: write sqlite:///var/{service}.db, or "
            "sqlite:////data/{service}.db for an absolute path"
        )
    path = url.removeprefix(SQLITE)
    return SqliteStore(path, clock=clock, boot=boot, transaction_seconds=config.transaction_seconds)


def _file(name: str, config: Config) -> Path | None:
    """The SQLite file of this service; None where it has another database, or one that lives no longer than it."""
    url = config.database_of(name)
    path = url.removeprefix(SQLITE)
    return Path(path) if url.startswith(SQLITE) and path != MEMORY else None


def operator_file(name: str, config: Config) -> Path | None:
    """The file beside the database that tells how to ask the service while it runs; None where nobody has to.

    It is written by `hocket.worker.http.operator`.
    """
    path = _file(name, config)
    return path.with_name(f"{path.name}.operator") if path is not None else None


def is_held(name: str, config: Config) -> bool:
    """Whether a process holds the SQLite file of this service, so that no other may write there."""
    path = _file(name, config)
    return path is not None and _file_is_held(path)


def existing_store(name: str, config: Config, clock: Clock, boot: str) -> CrashableStore:
    """The store of this service for a command, not open yet; `ConfigError` where its file does not exist."""
    path = _file(name, config)
    if path is not None and not path.exists():
        raise ConfigError(f"there is no database {path}: service {name} has not run here, or has another name")
    return store(name, config, clock, boot)


def check(config: Config) -> None:
    """Refuse addresses that no driver takes, without reaching for what is there. Raises `ConfigError`."""
    if found := faults(config):
        raise ConfigError("; ".join(found))


def faults(config: Config) -> list[str]:
    """What is wrong with the addresses of broker and database, as their drivers read them."""
    found = []
    for make in (
        lambda: transport("settings", config, memory_broker(config)),
        lambda: store("settings", config, SystemClock(), ""),
    ):
        try:
            make()
        except ConfigError as error:
            found.append(str(error))
    return found


def outbox_view(target: str, config: Config) -> OutboxView:
    """The outbox of a service, by its name or its database's address; `ConfigError` where there is none."""
    url = target if "://" in target else config.database_of(target)
    if url.startswith(POSTGRES):
        from hocket.store.postgres.outbox_view import PostgresOutboxView

        return PostgresOutboxView(url, config.schema_of("" if "://" in target else target), config)
    if not url.startswith(SQLITE):
        raise ConfigError(
            f"{url.partition('://')[0]}://… cannot be looked into: name sqlite:///PATH or postgresql://HOST/DATABASE"
        )
    return SqliteOutboxView(url.removeprefix(SQLITE))


def definitions(services: Sequence[Service[Any]], config: Config) -> dict[str, object]:
    """The kit's objects and those of these services, as RabbitMQ imports them; `ConfigError` for another broker."""
    _check_rabbitmq(config)
    from hocket.broker.rabbitmq.address import addresses
    from hocket.broker.rabbitmq.admin.definitions import definitions_of

    topology = kit()
    for service in services:
        topology += service.declarations.topology()
    return definitions_of(topology, addresses(config.broker_url)[0].vhost)


def broker_admin(config: Config) -> AbstractAsyncContextManager[BrokerAdmin]:
    """The broker's objects over its management API; `ConfigError` where the broker is not a RabbitMQ."""
    _check_rabbitmq(config)
    from hocket.broker.rabbitmq.admin.management import Management

    return Management(config.broker_url, config.management_url)


def _check_rabbitmq(config: Config) -> None:
    if in_memory(config):
        raise ConfigError(
            f"HOCKET_BROKER_URL is {config.broker_url}, which has no objects to look at: name a RabbitMQ, amqp://USER:PASSWORD@HOST"
        )
