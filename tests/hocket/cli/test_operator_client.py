"""A command on a service's data: on the store while nobody runs, else by asking the running service."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hocket import Service
from hocket.assembly import drivers
from hocket.assembly.process import Assembly
from hocket.cli.operator_client import operate
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.store.port import Store
from hocket.worker.http.operator import CommandRefused


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Settings with a database in a file."""
    return Config.read().model_copy(
        update={"broker_url": "memory://", "database_url": f"sqlite:///{tmp_path}/{{service}}.db"}
    )


async def alone(store: Store) -> Mapping[str, Any]:
    """The command on an open store."""
    return {"waiting": (await store.waiting()).events, "by": "the store"}


async def ring(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The command in the running service."""
    if asked.get("at") == "night":
        raise CommandRefused("not at night")
    return {"by": "the service", **asked}


async def test_the_running_service_is_asked_else_the_store(config: Config) -> None:
    """While the service holds its file it is asked; before and after, the file is opened."""

    def ask(at: str = "noon") -> Mapping[str, Any]:
        return operate("bells", config, "ring", {"at": at}, alone)

    with pytest.raises(ConfigError, match="there is no database"):
        await asyncio.to_thread(ask)
    assembly = Assembly(config)
    part = await assembly.start(Service("bells", owner="tower"), 0)
    part.worker.commands["ring"] = ring
    try:
        assert await asyncio.to_thread(ask) == {"by": "the service", "at": "noon"}
        with pytest.raises(CommandRefused, match="not at night"):
            await asyncio.to_thread(ask, "night")
        file = drivers.operator_file("bells", config)
        assert file is not None
        file.unlink()
        with pytest.raises(ConfigError, match="does not say how to ask it"):
            await asyncio.to_thread(ask)
    finally:
        await assembly.close()
    assert await asyncio.to_thread(ask) == {"waiting": 0, "by": "the store"}
