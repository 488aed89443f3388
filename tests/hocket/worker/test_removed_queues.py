"""The queue of a removed handler that fills is said."""

import asyncio
from datetime import timedelta
from typing import Any

from hocket import Service, Tx
from hocket.telemetry.signals import Listener, Signals
from hocket.worker.removed_queues import LOOK_SECONDS
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.view_service import ring_service

FILLED = timedelta(seconds=90)


class Ear(Listener):
    """Records troubles."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Note it."""
        self.heard.append((what, about))


def release(*handlers: str) -> Service[None]:
    """A release of one service with these handlers."""
    service = Service("shop", owner="team")

    async def handle(rung: Rung, tx: Tx) -> None: ...

    for name in handlers:
        service.handler(name=name)(handle)
    return service


async def test_what_waits_for_a_removed_projection_is_said(tower: Processes) -> None:
    """RULES 14.3: its queue stays bound and nobody prunes it; also where the service has no other handler."""
    ear = Ear()
    tower.signals = Signals([ear])
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    await tower.start(release())
    await tower.hear(Rung(name="a"), "k1")
    await asyncio.sleep(LOOK_SECONDS + 10)
    about, *_ = [about for what, about in ear.heard if what.endswith("of a projection that was removed")]
    assert (about["queue"], about["messages"]) == ("shop.view@1.ordered", 1)


async def test_what_waits_for_a_removed_handler_is_said(tower: Processes) -> None:
    """With the queue and the number, at the start and hourly; a queue that is empty or in use is no word."""
    ear = Ear()
    tower.signals = Signals([ear])
    await tower.start(release("pack", "bill"))
    await tower.quiet()
    await tower.stop("shop")
    await tower.start(release("pack"))
    await tower.quiet()
    assert ear.heard == []
    await tower.hear(Rung(name="a"), "k1")
    await asyncio.sleep(LOOK_SECONDS + 10)
    [(what, about)] = ear.heard
    assert what == "messages wait in the queue of a handler that was removed"
    assert (about["queue"], about["messages"]) == ("shop.bill", 1)
    await tower.stop("shop")
    await tower.start(release("pack", "bill"))
    await tower.quiet()
    await asyncio.sleep(LOOK_SECONDS + 10)
    assert len(ear.heard) == 1
