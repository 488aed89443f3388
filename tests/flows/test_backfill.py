"""A new service hears the history of a real broker's log while others speak: nothing is lost, nothing doubled."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from deploy.broker.node import RabbitNode
from hocket import Service, Tx
from hocket.broker.topology import LOG
from hocket.streams.backfill.state import Phase
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
