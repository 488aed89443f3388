"""The broker takes something away beneath whole services, or does not take what they say: healed, or said."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from deploy.broker.node import RabbitNode
from hocket.broker.topology import DEAD, EVENTS, HEARD
from tests.flows.two_services import PATIENCE, Choir, choir

#: Returns after which a quorum queue gives a message up (docs/wire.md#broker-objects), and one more.
RETURNS = 1001


@pytest.fixture
async def band(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Choir]:
    """Both services, ready."""
    async with choir(rabbitmq, broker_url, tmp_path) as made:
        yield made


async def test_a_queue_deleted_beneath_its_consumer_is_declared_and_consumed_again(band: Choir) -> None:
    """The broker sends basic.cancel; what is said afterwards is heard, without anybody's help."""
    await band.sing(0, 5)
    await band.once(5)
    async with band.admin() as channel:
        await channel.queue_delete(band.queue)
    await band.until(lambda: band.reasons() == [] and _stands(band), lambda: f"healed; {band.reasons()}")
    await band.sing(5, 5)
    await band.once(10)


def _stands(band: Choir) -> bool:
    lane = band.workers[band.alto.name].runners[band.queue]
    return lane.consumer is not None and lane.consumer.epoch > 1


async def test_an_exchange_deleted_beneath_us_is_declared_again_and_nothing_is_refused(band: Choir) -> None:
    """The refused publish closes the channel; its neighbours and it go out, in the end once, once it stands again."""
    for turn in range(3):
        async with band.admin() as channel:
            await channel.exchange_delete(EVENTS)
        await band.sing(turn * 20, 20)
        await band.once(turn * 20 + 20)
    waiting = await band.workers[band.lead.name].runtime.store.waiting()
    assert waiting.refused == 0
    await band.ready()


async def test_an_exchange_between_others_is_declared_again_by_and_by(
    band: Choir, rabbitmq: RabbitNode, broker_url: str, tmp_path: Path
) -> None:
    """`heard` deleted: no publish fails, so the topology is declared again from time to time."""
    (tmp_path / "other").mkdir()
    async with choir(rabbitmq, broker_url, tmp_path / "other", topology_seconds=0.2) as other:
        async with other.admin() as channel:
            await channel.exchange_delete(HEARD)
        async with other.admin() as channel:
            await _until_it_stands(other, HEARD)
            assert channel is not None
        await other.sing(0, 3)
        await other.once(3)
    assert band.reasons() == []


async def _until_it_stands(band: Choir, exchange: str) -> None:
    words = ["list_bindings", "-p", band.vhost, "source_name", "destination_name"]
    async with asyncio.timeout(PATIENCE):
        while f"{exchange}\t{band.queue}" not in await band.ctl(*words):
            pass


async def test_what_the_broker_refuses_by_permission_is_set_aside_alone(band: Choir) -> None:
    """RULES 4.3: a channel closed by a refused publish: that row is refused, said and counted, its neighbours go."""
    user, word = f"user{band.number}", "word"
    await band.ctl("add_user", user, word)
    await band.ctl("set_permissions", "-p", band.vhost, user, ".*", f"^(?!{EVENTS}$).*", ".*")
    [lead] = [band.workers.pop(band.lead.name)]
    await lead.stop()
    lead = await band.start(band.lead, url=band.url_of(user, word))
    await band.until(lambda: any("a row for good" in each for each in band.notes.troubles) or not lead.health())
    await band.sing(0, 3)
    await band.until(lambda: sum("refused a row permanently" in each for each in band.notes.troubles) == 3)
    assert all("ACCESS_REFUSED" in each for each in band.notes.troubles if "for good" in each)
    await band.until(lead.idle)
    assert (await lead.runtime.store.waiting()).refused == 3
    assert lead.health() == []


async def test_what_no_queue_takes_goes_again_once_a_queue_does(band: Choir) -> None:
    """RULES 1.5: a retry that is returned is not forgotten: its source was settled on the strength of the outbox."""
    failed: list[int] = []

    async def fail_once(number: int, attempt: int) -> None:
        if attempt == 1:
            failed.append(number)
            async with band.admin() as channel:
                queue = await channel.get_queue(band.queue, ensure=False)
                await queue.unbind(band.alto.name, band.queue)
            raise RuntimeError("once")

    band.song.before = fail_once
    await band.sing(0, 1)
    await band.once(1)
    assert failed == [0]
    assert any("a publish was returned" in each for each in band.notes.troubles)


async def test_what_the_broker_nacks_goes_again_and_is_done_once(band: Choir) -> None:
    """RULES 1.7: a full queue of somebody else makes the broker refuse what others took; the inbox knows doubles."""
    full = f"full{band.number}"
    async with band.admin() as channel:
        queue = await channel.declare_queue(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        await queue.bind(HEARD, f"note{band.number}.sung.v1")
        await band.sing(0, 10)
        await band.until(lambda: any("a publish was nacked" in each for each in band.notes.troubles))
        await queue.delete(if_unused=False, if_empty=False)
        await band.once(10)
    assert any("max" in each or "could not take" in each for each in band.notes.troubles)


async def test_a_delivery_at_its_limit_becomes_a_letter_and_its_neighbours_go_on(band: Choir) -> None:
    """The last net: a message that came back a thousand times is a dead letter, its neighbours are handled."""
    alto = band.workers.pop(band.alto.name)
    await alto.stop()
    await band.sing(0, 2)
    async with band.admin() as channel:
        queue = await channel.get_queue(band.queue, ensure=False)
        for _ in range(RETURNS):
            message = await queue.get(no_ack=False, timeout=10, fail=False)
            if message is None:
                break
            await message.nack(requeue=True)
        letters = await channel.get_queue(DEAD, ensure=False)
        letter = await _letter(letters, band)
        assert letter.headers["x-first-death-reason"] == "delivery_limit"
        assert b'"number":0' in letter.body.replace(b" ", b"")
    await band.start(band.alto)
    await band.until(lambda: not band.reasons())
    await band.written(1)
    assert await band.heard() == {1: 1}


async def _letter(queue: aio_pika.abc.AbstractQueue, band: Choir) -> aio_pika.abc.AbstractIncomingMessage:
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await queue.get(no_ack=True, timeout=10, fail=False)
            if message is not None and message.routing_key == band.queue:
                return message
