"""Runs a command on a service's own data: in its database, or, while an SQLite service runs, by asking the service."""

import asyncio
import getpass
import http.client
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from hocket.clock import SystemClock
from hocket.config import Config
from hocket.errors import ConfigError, StoreError
from hocket.store.port import Store
from hocket.store.records import COMMAND_OWNER
from hocket.worker.http.operator import PATH, CommandRefused

#: Seconds that a running service has to answer a command.
ANSWER_SECONDS = 30.0
#: Longest answer in bytes; the rest is not read.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

#: Runs a command on an open store, where no service runs that must be asked.
Alone = Callable[[Store], Awaitable[Mapping[str, Any]]]


def person() -> str:
    """The name of the person who gives the command: the login name, that from before `sudo` where there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return f"user {os.getuid()}"


def operate(service: str, config: Config, command: str, body: Mapping[str, Any], alone: Alone) -> Mapping[str, Any]:
    """Run one command; its answer. `alone` does it on the open store, `command` and `body` ask the running service.

    PostgreSQL has room for several processes: there the store is opened. An SQLite file belongs to the service that
    runs, which is asked over its own port; while none runs the file is opened. Raises `CommandRefused` where the
    answer is no, `ConfigError` where neither the database nor the service can be reached.
    """
    from hocket.assembly import drivers

    file = drivers.operator_file(service, config)
    if file is not None and drivers.is_held(service, config):
        return _ask(service, file, command, body)
    try:
        return asyncio.run(_on_store(service, config, alone))
    except StoreError as error:
        raise ConfigError(str(error)) from error


async def _on_store(service: str, config: Config, alone: Alone) -> Mapping[str, Any]:
    from hocket.assembly import drivers

    store = drivers.existing_store(service, config, SystemClock(), f"{COMMAND_OWNER}{os.getpid()}")
    await store.open()
    try:
        return await alone(store)
    finally:
        await store.close()


def _ask(service: str, file: Path, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the running service."""
    told = _read(service, file)
    if not told["host"]:
        raise ConfigError(
            f"service {service} listens on {told['listens_on']} only, and commands are taken over the loopback "
            "interface: set HOCKET_HTTP_HOST to 127.0.0.1 or 0.0.0.0, or stop the service and repeat the command"
        )
    connection = http.client.HTTPConnection(told["host"], told["port"], timeout=ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {told['token']}", "Content-Type": "application/json"}
    try:
        connection.request("POST", PATH + command, json.dumps(body), headers)
        response = connection.getresponse()
        status, raw = response.status, response.read(MAX_ANSWER_BYTES)
        answer = json.loads(raw)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConfigError(
            f"service {service} holds its database and does not answer on port {told['port']} "
            f"({str(error) or type(error).__name__}): wait until it has started, or stop it and repeat the command"
        ) from error
    finally:
        connection.close()
    if status == http.client.OK and isinstance(answer, dict):
        return answer
    sentence = answer.get("error", "") if isinstance(answer, dict) else ""
    sentence = str(sentence or f"service {service} answered {status}")
    raise CommandRefused(sentence) if status == http.client.CONFLICT else ConfigError(sentence)


def _read(service: str, file: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {name: told[name] for name in ("host", "listens_on", "port", "token")}
    except PermissionError as error:
        raise ConfigError(
            f"{file} can be read by the user of service {service} only: give the command as that user"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"another process holds the database of service {service}, and {file} does not say how to ask it: wait "
            "until the service has started, or stop it and repeat the command"
        ) from error
