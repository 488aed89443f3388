"""Runs services inside another application, from its start to its stop."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import structlog

from hocket.assembly import settings_faults
from hocket.assembly.process import Assembly
from hocket.assembly.unknown_variables import unknown
from hocket.config import Config
from hocket.runtime import here
from hocket.service import Service


class Hosted:
    """Services that run inside the process of another application."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    def here(self) -> AbstractContextManager[None]:
        """A context in which `service.tx()` finds them: for a request whose task was started elsewhere."""
        return here({name: part.worker for name, part in self._assembly.parts.items()})

    def reasons(self) -> list[str]:
        """Why they are not ready, for the application's own health page; an empty list means that they are ready."""
        parts = self._assembly.parts
        return [f"{name}: {reason}" for name, part in parts.items() for reason in part.worker.health()]


@asynccontextmanager
async def hosted(*services: Service[Any], config: Config | None = None) -> AsyncIterator[Hosted]:
    """Run services inside an application's process, from its start to its end; they do not handle its signals.

    Health and metrics of each are served on a free port. `ConfigError` and `DeclarationError` say what is wrong.
    """
    if config is None:
        config = settings_faults.read(services)
        for sentence in unknown():
            structlog.get_logger("hocket").warning(sentence)
    assembly = Assembly(config)
    try:
        for service in services:
            await assembly.start(service, 0)
        yield Hosted(assembly)
    finally:
        await assembly.close()
