"""What every part of one running service shares, and how `service.tx()` finds the running service.

`Runtime` is made once by the worker and handed to the parts. `service.tx()` finds its service by context, never by a
global: whoever starts services enters `here`; tasks started inside inherit it, HTTP handlers included.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.broker.port import Transport
from hocket.clock import Clock
from hocket.config import Config
from hocket.declarations.requests.command import Command
from hocket.declarations.subscription import Subscription
from hocket.envelope.ids import Ids
from hocket.errors import HocketError
from hocket.masking.mask import mask_in_hand
from hocket.pseudonym import Pseudonyms
from hocket.resilience.pauses import Pauses
from hocket.resilience.supervisor import Supervisor
from hocket.store.port import Store
from hocket.telemetry.signals import Signals


class RunningService(Protocol):
    """A service that runs: what its declaration needs of it."""

    @property
    def boot(self) -> str:
        """The id of this start; see `ServiceInstance`."""
        ...

    @property
    def pseudonyms(self) -> Pseudonyms:
        """What makes the pseudonyms in its subjects, of the key that was read at the start."""
        ...

    def outside(
        self, key: str | None, correlation_id: str | None, connection: AsyncConnection | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction outside a handler, or a part in that of an application; yields `hocket.Outside`."""
        ...

    async def command(self, command: Command, request: web.Request) -> web.StreamResponse:
        """Answer one request of a command (RULES 13)."""
        ...

    def reading(self, declared: Subscription, after: str | None, within: timedelta) -> AbstractAsyncContextManager[Any]:
        """One snapshot of a projection; yields `hocket.View`."""
        ...

    async def send(
        self, subscription: str, body: bytes, content_type: str, *,
        attempt: int, replay: str = ..., death: str = ..., headers: Mapping[str, object] = ...,
    ) -> None:  # fmt: skip
        """Publish to one subscription at once, confirmed; see `hocket.observe.Observer.send`."""
        ...


_running: ContextVar[Mapping[str, RunningService] | None] = ContextVar("hocket_running", default=None)


@contextmanager
def here(services: Mapping[str, RunningService]) -> Iterator[None]:
    """Within this context these services run, by name."""
    token = _running.set({**(_running.get() or {}), **services})
    try:
        yield
    finally:
        with suppress(ValueError):  # entered in one task and left in another: there the variable was never set
            _running.reset(token)


def current(service: str) -> RunningService:
    """The running service of this name; `HocketError` where it does not run in this context."""
    found = (_running.get() or {}).get(service)
    if found is None:
        raise HocketError(
            f"service {service} does not run here: use tx() inside `hocket run`, inside a mounted HTTP handler, "
            f"or inside hocket.testing.play({service})"
        )
    return found


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """Which process of which service speaks: `boot` is new at each start."""

    service: str
    instance: str
    boot: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the parts of one running service share; made once, at the start, and never changed."""

    instance: ServiceInstance
    clock: Clock
    ids: Ids
    chance: random.Random
    signals: Signals
    store: Store
    transport: Transport
    tasks: Supervisor
    config: Config
    pauses: Pauses = field(default_factory=Pauses)

    @property
    def whole_stacks(self) -> bool:
        """Whether stacks are kept with the kit's own frames: at `HOCKET_LOG_LEVEL=DEBUG`."""
        return self.config.log_level == "DEBUG"

    @property
    def service(self) -> str:
        """The service's name."""
        return self.instance.service

    def trouble(self, what: str, **about: str | int | float) -> None:
        """Report to listeners that something went wrong; `what` is a short constant sentence, `about` its details."""
        mask = mask_in_hand()
        hidden = {name: mask.hide(value) if isinstance(value, str) else value for name, value in about.items()}
        self.signals.trouble(self.service, what, **hidden)
