"""Thousands of hostile deliveries on a real broker: healthy, bounded memory, every one accounted for."""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import aio_pika
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

from deploy.broker.node import RabbitNode
from hocket import Heard, Retry, Service, Tx
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope.ids import Ids
from hocket.outcome import Word
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Signals
from hocket.worker import Worker
from tests.flows.fuzzer import Fuzzer
from tests.flows.two_services import Notes
from tests.hocket.sample_services import until

#: Deliveries in the suite, and where somebody has the time (SLOW=1).
SOME, MANY = 5_000, 100_000
#: Deliveries on their way to the broker at once.
FLYING = 200
#: Bytes that the process may grow by, whatever the number of deliveries.
GROWTH_BYTES = 150 * 1024 * 1024
#: Seconds that one delivery may take on a slow machine, all together.
SECONDS_EACH = 0.05
#: How deliveries come to an end; each leaves a letter where it is dead.
ENDS = (Word.HANDLED, Word.DEAD, Word.DUPLICATE, Word.REFUSED, Word.OBSOLETE)

tables = MetaData()
kept = Table("kept", tables, Column("id", Integer, primary_key=True), Column("name", String, nullable=False))
sieve = Service("sieve", owner="team-sieve", tables=tables)


class Poured(Heard, type="thing.poured"):
    """What an honest publisher sends."""

    name: str
    text: str


@sieve.handler(retry=Retry(retries=0))
async def take(poured: Poured, tx: Tx) -> None:
    """Write it down, whatever signs it has."""
    await (await tx.db()).execute(insert(kept).values(name=poured.name))


def ended(notes: Notes) -> int:
    """How many deliveries have come to their end."""
    return sum(notes.attempts_of("sieve.take").get(word, 0) for word in ENDS)


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("count", [SOME, pytest.param(MANY, marks=pytest.mark.slow)])
async def test_every_hostile_delivery_is_accounted_for(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path, count: int
) -> None:
    """Handled, known already, or a letter: none is lost, none stops the service, memory stays."""
    clock, chance, notes = SystemClock(), random.Random(count), Notes()
    boot = Ids(clock, chance).uuid7()
    worker = Worker(
        sieve,
        store=SqliteStore(str(tmp_path / "sieve.db"), clock=clock, boot=boot),
        transport=RabbitTransport(broker_url, "sieve"),
        signals=Signals([notes]),
        clock=clock,
        chance=chance,
        boot=boot,
        config=Config.model_construct(),
        version="test",
    )
    await worker.start()
    try:
        await until(lambda: not worker.health(), 60)
        connection = await aio_pika.connect(broker_url)
        async with connection, connection.channel() as channel:
            letters = await channel.get_queue(DEAD, ensure=False)
            await letters.purge()
            before = resident()
            await _pour(channel, Fuzzer("thing.poured", seed=count), count)
            await until(lambda: ended(notes) >= count or not worker.live, count * SECONDS_EACH + 60)
            await until(worker.idle, 60)
            assert resident() - before < GROWTH_BYTES
            found = notes.attempts_of("sieve.take")
            assert ended(notes) == count, found
            assert await _until_letters(channel, found[Word.DEAD]) == found[Word.DEAD]
        assert found[Word.HANDLED] > count / 20
        async with worker.runtime.store.read() as db:
            rows = await db.execute(select(func.count()).select_from(kept))
        assert rows.scalar_one() == found[Word.HANDLED]
        assert worker.live
        assert worker.health() == []
        assert worker.runners["sieve.take"].intake.held_of("sieve.take") == 0
    finally:
        await worker.stop()


async def _pour(channel: aio_pika.abc.AbstractChannel, fuzzer: Fuzzer, count: int) -> None:
    """Publish straight to the queue, confirmed."""
    exchange = await channel.get_exchange("sieve", ensure=False)
    flying: set[asyncio.Task[object]] = set()
    for each in fuzzer.deliveries(count):
        message = aio_pika.Message(
            each.body, content_type=each.content_type, headers=each.headers, delivery_mode=2
        )  # fmt: skip
        flying.add(asyncio.ensure_future(exchange.publish(message, "sieve.take")))
        if len(flying) >= FLYING:
            done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*flying)


async def _until_letters(channel: aio_pika.abc.AbstractChannel, count: int) -> int:
    """How many dead letters stand in their queue: once there are enough, or after a while."""
    counted: Counter[str] = Counter()
    for _ in range(100):
        counted["letters"] = (await channel.declare_queue(DEAD, passive=True)).declaration_result.message_count or 0
        if counted["letters"] >= count:
            break
        await asyncio.sleep(0.2)
    return counted["letters"]
