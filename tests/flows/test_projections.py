"""A projection is rebuilt as a new version while events come and clients read, on a real broker and both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Column, Integer, MetaData, Table, Text, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from deploy.broker.node import RabbitNode
from deploy.database.server import PostgresServer
from hocket import Event, Heard, Service, Tx
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.delivery.projecting import rows as generation_rows
from hocket.worker.worker import Worker

PATIENCE = 180.0

tables = MetaData()
tallies = Table("tallies", tables, Column("name", Text, primary_key=True), Column("many", Integer, nullable=False))


class Told(Event, type="poll.told", subject="poll/{name}"):
    """One vote."""

    name: str


class ToldHeard(Heard, type="poll.told"):
    """The same, as it is heard."""

    name: str


def poll(*versions: int) -> Service[Any]:
    """The service with these versions of its projection: version n counts each vote n times."""
    made = Service("poll", owner="team-poll", tables=tables)
    made.says(Told)

    def declare(version: int) -> None:
        @made.projection(tallies, name="tally", version=version)
        async def tally(event: ToldHeard, tx: Tx) -> None:
            db, table = await tx.db(), tx.table(tallies)
            insert = (postgresql if db.dialect.name == "postgresql" else sqlite).insert(table)
            added = {"many": table.c.many + version}
            await db.execute(
                insert.values(name=event.name, many=version).on_conflict_do_update(index_elements=["name"], set_=added)
            )

    for version in versions:
        declare(version)
    return made


@dataclass
class Reader:
    """A client that reads again and again from one process, and must never see less than before."""

    service: Service[Any]
    version: int
    seen: int = 0
    reads: int = 0
    versions: set[int] = field(default_factory=set)

    async def has(self, name: str, after: str) -> bool:
        """Whether a snapshot that waits for a token has this name."""
        projection = self.service.declarations.projections["tally", self.version].call
        async with self.service.reading(projection, after=after) as view:
            column = view.table(tallies).c.name
            return (await view.db.execute(select(column).where(column == name))).first() is not None

    async def total(self) -> int:
        """All votes that one snapshot holds."""
        projection = self.service.declarations.projections["tally", self.version].call
        async with self.service.reading(projection) as view:
            many = (await view.db.execute(select(func.sum(view.table(tallies).c.many)))).scalar() or 0
            self.versions.add(view.version)
            assert many % view.version == 0
            return int(many) // view.version

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            now = await self.total()
            assert now >= self.seen, f"a read went back: {self.seen}, then {now}"
            self.seen, self.reads = now, self.reads + 1
            await asyncio.sleep(0.005)


async def vote(service: Service[Any], said: list[str], reader: Reader) -> None:
    """Say votes until cancelled, and now and then read one's own."""
    while True:
        own = len(said) % 10 == 0
        name = f"own{len(said)}" if own else f"n{len(said) % 20}"
        async with service.tx() as tx:
            tx.say(Told(name=name))
            token = tx.token
        said.append(name)
        if own:
            assert await reader.has(name, token), "a client did not read its own write"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def running(config: Config, service: Service[Any]) -> AsyncIterator[Worker]:
    """One process of it; inside, `service.tx()` and `service.reading()` find it."""
    assembly = Assembly(config)
    try:
        yield (await assembly.start(service, 0)).worker
    finally:
        await assembly.close()


async def until_ready(worker: Worker) -> None:
    """Wait until it is ready."""
    while worker.health():  # noqa: ASYNC110 -- readiness is asked for, as a probe asks
        await asyncio.sleep(0.05)


async def until_states(worker: Worker, wanted: dict[int, str]) -> None:
    """Wait until the generations stand so."""
    while True:
        async with worker.runtime.store.read() as connection:
            found = {each.n: str(each.state) for each in await generation_rows.rows_of(connection, "tally")}
        if found == wanted:
            return
        await asyncio.sleep(0.05)


async def exact(worker: Worker, service: Service[Any], version: int, said: list[str]) -> None:
    """Wait until every vote is counted, and see that none is counted twice."""
    reader = Reader(service, version)
    while await reader.total() < len(said):  # noqa: ASYNC110 -- no moment to wait for
        await asyncio.sleep(0.05)
    projection = service.declarations.projections["tally", version].call
    async with service.reading(projection) as view:
        found = await view.db.execute(select(view.table(tallies)))
        assert {row.name: row.many for row in found} == {name: said.count(name) * version for name in set(said)}


async def stopped(*tasks: "asyncio.Task[None]") -> None:
    """End these; what one of them asserted comes through."""
    for each in tasks:
        each.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def settings(broker_url: str, database_url: str) -> Config:
    """What makes all of it fast."""
    return Config().model_copy(update={
        "broker_url": broker_url, "database_url": database_url, "backfill_marker_seconds": 1.0,
        "projection_grace_seconds": 10.0, "projection_removal_seconds": 5.0,
    })  # fmt: skip


async def test_no_read_goes_back_across_a_swap_between_processes(
    postgres: PostgresServer, rabbitmq: RabbitNode
) -> None:
    """RULES 14.2, 14.6, 14.7: two old and two new processes; reads of both never go back, tokens are kept."""
    config = settings(rabbitmq.add_vhost(f"poll-{uuid4().hex}"), postgres.add_database(f"poll_{uuid4().hex}"))
    said = list[str]()
    first, second = poll(1), poll(1)
    async with asyncio.timeout(PATIENCE), running(config, second), running(config, first) as worker:
        await until_ready(worker)
        old = Reader(first, 1)
        reading = asyncio.create_task(old.run())
        voting = asyncio.create_task(vote(first, said, old))
        while len(said) < 300:  # noqa: ASYNC110 -- no moment to wait for
            await asyncio.sleep(0.05)
        third, fourth = poll(2), poll(2)
        async with running(config, fourth), running(config, third) as newer:
            new = Reader(third, 2, seen=min(100, old.seen))
            watching = asyncio.create_task(new.run())
            await until_states(newer, {1: "old", 2: "serving"})
            await asyncio.sleep(0.5)
            await stopped(voting, reading, watching)
            await exact(newer, third, 2, said)
            assert new.versions == {1, 2}
            assert new.reads > 50
            await until_states(newer, {1: "gone", 2: "serving"})
            async with newer.runtime.store.read() as connection:
                left = await connection.scalar(text("SELECT to_regclass('tallies__1')"))
            assert left is None
            assert await newer.runtime.transport.depth("poll.tally@1.ordered") is None
            assert newer.health() == []


async def test_no_read_goes_back_across_a_swap_on_one_file(tmp_path: Path, rabbitmq: RabbitNode) -> None:
    """RULES 14.2, 14.3: one process on SQLite has both versions for a release; votes come all the time."""
    config = settings(rabbitmq.add_vhost(f"poll-{uuid4().hex}"), f"sqlite:///{tmp_path}/poll.db")
    said = list[str]()
    async with asyncio.timeout(PATIENCE):
        first = poll(1)
        async with running(config, first) as worker:
            await until_ready(worker)
            old = Reader(first, 1)
            voting = asyncio.create_task(vote(first, said, old))
            while len(said) < 300:  # noqa: ASYNC110 -- no moment to wait for
                await asyncio.sleep(0.05)
            await stopped(voting)
        both = poll(1, 2)
        async with running(config, both) as worker:
            new = Reader(both, 2)
            watching = asyncio.create_task(new.run())
            voting = asyncio.create_task(vote(both, said, new))
            await until_states(worker, {1: "old", 2: "serving"})
            await asyncio.sleep(0.5)
            await stopped(voting, watching)
            await exact(worker, both, 2, said)
            assert new.versions == {1, 2}
            await until_states(worker, {1: "gone", 2: "serving"})
