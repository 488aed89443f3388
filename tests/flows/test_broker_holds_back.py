"""The broker or the network falls silent: services wait, say so, make no copies, and go on by themselves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from tests.flows.two_services import Choir, choir

#: What no disk has free.
TOO_MUCH = "900000GB"
ENOUGH = "50MB"


@pytest.fixture
async def band(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Choir]:
    """Both services, ready."""
    async with choir(rabbitmq, broker_url, tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_an_alarm_holds_what_is_said_and_nothing_else(band: Choir, rabbitmq: RabbitNode, kind: str) -> None:
    """RULES 4.4: connection.blocked: what was said waits, readiness says why, what came before is still handled."""
    gate = asyncio.Event()

    async def wait(number: int, attempt: int) -> None:
        await gate.wait()

    band.song.before = wait
    await band.sing(0, 5)
    await band.until(lambda: band.workers[band.alto.name].runners[band.queue].in_progress == 5)
    await _alarm(rabbitmq, kind, True)
    try:
        await band.sing(5, 20)
        await band.says("has a memory or disk alarm")
        gate.set()
        await band.written(5)
    finally:
        await _alarm(rabbitmq, kind, False)
    await band.once(25)
    await band.ready()
    assert _copies(band) == 25


async def _alarm(node: RabbitNode, kind: str, on: bool) -> None:
    if kind == "memory":
        await asyncio.to_thread(node.alarm, on)
    else:
        await asyncio.to_thread(node.ctl, "set_disk_free_limit", TOO_MUCH if on else ENOUGH)


def _copies(band: Choir) -> int:
    """How many deliveries alto has seen, doubles included: each leaves one receipt."""
    return sum(band.notes.attempts_of(band.queue).values())


async def test_a_network_that_swallows_every_byte_is_noticed_by_heartbeats(band: Choir) -> None:
    """RULES 4.4: nobody is told; the heartbeat is missed, readiness says so, then all that was said arrives once."""
    await band.sing(0, 5)
    await band.once(5)
    for proxy in band.proxies.values():
        proxy.silence(True)
    await band.sing(5, 5)
    await band.says("was lost")
    for proxy in band.proxies.values():
        proxy.silence(False)
        proxy.cut()
    await band.once(10)
    await band.ready()


async def test_a_confirm_that_never_comes_is_waited_for_and_said(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path
) -> None:
    """RULES 4.4: no timeout of confirms: readiness says since when; one goes first, one copy each."""
    async with choir(rabbitmq, broker_url, tmp_path, unconfirmed_seconds=0.5) as band:
        proxy = band.proxies[band.lead.name]
        proxy.withhold(True)
        await band.sing(0, 10)
        await band.says("has not confirmed anything for")
        await band.written(1)
        proxy.cut()
        proxy.withhold(False)
        await band.once(10)
        await band.ready()
        assert 10 <= _copies(band) <= 20
