"""A new service hears the history of a real broker's log while others speak: nothing is lost, nothing doubled."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from deploy.broker.node import RabbitNode
from deploy.database.server import PostgresServer
from hocket import Service, Tx
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import LOG
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.store.postgres.store import PostgresStore
from hocket.streams.backfill.state import Phase
from hocket.telemetry.signals import Signals
from hocket.worker import Worker
from tests.flows.two_services import BRIEF, Choir, choir

tables = MetaData()
kept = Table("kept", tables, Column("id", Integer, primary_key=True), Column("number", Integer, nullable=False))


class Newcomer:
    """A service that hears history beside a choir, and its book."""

    def __init__(self, band: Choir) -> None:
        self.band = band
        self.history: set[int] = set()
        self.service: Service[None] = Service(f"new{band.number}", owner="team-choir", tables=tables)
        event, history = band.event, self.history

        @self.service.handler(retry=BRIEF, since="first")
        async def keep(sung: event, tx: Tx) -> None:  # type: ignore[valid-type]  # a type that is made here
            number: int = sung.number  # type: ignore[attr-defined]
            if tx.replaying:
                history.add(number)
            await (await tx.db()).execute(insert(kept).values(number=number))

    @property
    def queue(self) -> str:
        """Where it hears."""
        return f"{self.service.name}.keep"

    @property
    def worker(self) -> Worker:
        """Its process."""
        return self.band.workers[self.service.name]

    async def start(self) -> Worker:
        """Start it."""
        return await self.band.start(self.service)

    async def phase(self) -> Phase | None:
        """What its row says."""
        row = await self.worker.backfills.rows.of(self.queue)
        return None if row is None else row.phase

    async def book(self) -> Counter[int]:
        """How often each note was written down."""
        async with self.worker.runtime.store.read() as db:
            return Counter(row.number for row in await db.execute(select(kept.c.number)))

    async def live(self) -> None:
        """Return when it consumes its queue."""
        await self.band.until(lambda: self.worker.backfills.fillers[self.queue].live, lambda: str(self.worker.health()))


@asynccontextmanager
async def newcomer(node: RabbitNode, url: str, folder: Path, **settings: float) -> AsyncIterator[Newcomer]:
    """A choir, and a service that did not hear it yet."""
    async with choir(node, url, folder, backfill_marker_seconds=2.0, **settings) as band:
        yield Newcomer(band)


async def test_history_and_the_present_are_heard_once(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> None:
    """RULES 7.5: while others speak, with the connection lost in the middle."""
    async with newcomer(rabbitmq, broker_url, tmp_path) as new:
        band = new.band
        await band.sing(0, 600)
        await band.once(600)
        await new.start()
        speaks = asyncio.create_task(band.sing(600, 200))
        await band.until(lambda: len(new.history) > 50)
        band.proxies[new.service.name].cut()
        await speaks
        await new.live()
        await band.sing(800, 20)
        await band.until(lambda: all(worker.idle() for worker in band.workers.values()))
        await band.until(lambda: not new.worker.health(), lambda: str(new.worker.health()))
        for _ in range(100):
            if len(await new.book()) == 820:
                break
            await asyncio.sleep(0.1)
        assert await new.book() == Counter(range(820))
        assert set(range(600)) <= new.history
        assert not new.history & set(range(800, 820))


async def test_a_log_that_is_made_anew_while_it_is_read_waits_for_a_person(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path
) -> None:
    """RULES 7.5 d: and what was bound meanwhile is not lost."""
    async with newcomer(rabbitmq, broker_url, tmp_path) as new:
        band = new.band
        await band.sing(0, 50)
        await band.once(50)
        await new.start()
        await band.until(lambda: len(new.history) == 50)
        row = new.worker.backfills.fillers[new.queue]
        await band.until(lambda: row.row is not None and row.row.next >= 50, lambda: str(row.row))
        async with band.admin() as channel:
            await channel.queue_delete(LOG)
        await band.workers[band.lead.name].log_check.declare()
        await band.sing(50, 80)
        await band.until(lambda: row.row is not None and row.row.phase is Phase.FAILED, lambda: str(row.row))
        await new.worker.commands["backfill"]({"do": "accept-gap", "subscription": new.queue})
        await new.live()
        for _ in range(100):
            if len(await new.book()) == 130:
                break
            await asyncio.sleep(0.1)
        assert await new.book() == Counter(range(130))


class Replicas:
    """Two processes of the newcomer on one PostgreSQL schema, which are killed and started again."""

    def __init__(self, new: Newcomer, url: str, server: PostgresServer) -> None:
        self.new, self._url, self._server = new, url, server
        self._schema = f"backfill_{uuid4().hex}"
        self.workers: list[Worker] = []

    async def start(self) -> None:
        """One more."""
        clock, chance = SystemClock(), random.Random(len(self.workers))
        boot = str(uuid4())
        config = Config.model_construct(
            None, backfill_marker_seconds=4.0, owner_lease_seconds=3.0, owner_renew_seconds=0.5
        )
        worker = Worker(
            self.new.service,
            store=PostgresStore(self._server.url(), clock=clock, boot=boot, schema=self._schema, settings=config),
            transport=RabbitTransport(self._url, self.new.service.name),
            signals=Signals([self.new.band.notes]),
            clock=clock,
            chance=chance,
            boot=boot,
            config=config,
            version="test",
        )
        await worker.start()
        self.workers.append(worker)

    async def kill(self) -> None:
        """The first of them, as SIGKILL does: nothing is settled, committed or closed in order."""
        worker = self.workers.pop(0)
        store = worker.runtime.store
        assert isinstance(store, PostgresStore)
        await worker.runtime.transport.close()
        await store.abandon()
        await worker.kill()

    def hands(self) -> str:
        """What each has in hand."""
        runners = [(each.runners[self.new.queue], each) for each in self.workers]
        return str(
            [
                (runner.in_progress, len(runner.intake), each.relay.idle, each.committer.idle, each.health())
                for runner, each in runners
            ]
        )

    async def stop(self) -> None:
        """All of them."""
        while self.workers:
            await self.workers.pop().stop()

    async def book(self) -> Counter[int]:
        """How often each note was written down."""
        async with self.workers[0].runtime.store.read() as db:
            return Counter(row.number for row in await db.execute(select(kept.c.number)))


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
async def test_replicas_that_are_killed_lose_and_double_nothing(
    rabbitmq: RabbitNode, broker_url: str, postgres: PostgresServer, tmp_path: Path, kills: int
) -> None:
    """RULES 7.5 f: another replica takes the reading over, and each event is written down once."""
    many = 150 * kills
    async with newcomer(rabbitmq, broker_url, tmp_path) as new:
        await new.band.sing(0, many)
        await new.band.once(many)
        both = Replicas(new, broker_url, postgres)
        try:
            await both.start()
            await both.start()
            speaks = asyncio.create_task(new.band.sing(many, 60))
            for number in range(kills):
                await new.band.until(lambda: len(new.history) > 100 * number)  # noqa: B023 -- it is awaited here
                await both.kill()
                await both.start()
            await speaks
            await new.band.until(
                lambda: (
                    all(each.backfills.fillers[new.queue].live for each in both.workers if each.backfills.fillers)
                    and all(each.backfills.fillers for each in both.workers)
                ),
                lambda: str([each.health() for each in both.workers]),
            )
            await new.band.until(lambda: all(each.idle() for each in both.workers), both.hands)
            for _ in range(300):
                if len(await both.book()) == many + 60:
                    break
                await asyncio.sleep(0.1)
            assert await both.book() == Counter(range(many + 60))
        finally:
            await both.stop()
