"""A service whose one delivery misuses its database, among neighbours; what became of all, on whatever store."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket import Service, Tx
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import Delivery
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.outcome import Word
from hocket.store.port import Store
from hocket.telemetry.signals import Signals
from hocket.worker import Worker
from tests.flows.two_services import Notes
from tests.hocket.sample_services import BRIEF, Echoed, Rung, Shut, Tolled, World, message_of, until, uses

#: Seconds in which whatever a test waits for must have happened.
PATIENCE = 30.0
#: Attempts that one delivery has.
ATTEMPTS = 5
#: As many, within a second.
HASTY = replace(BRIEF, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=20))

tables = MetaData()
parents = Table("parents", tables, Column("id", Integer, primary_key=True))
#: A row without its parent is refused only at the commit.
children = Table(
    "children",
    tables,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("parent", ForeignKey("parents.id", deferrable=True, initially="DEFERRED"), nullable=False),
)

Act = Callable[[AsyncConnection], Awaitable[object]]


async def orphan(db: AsyncConnection) -> None:
    """Write what the commit refuses."""
    await db.execute(insert(children).values(parent=4711))


@dataclass
class Culprits:
    """Runs one service on `store`: the delivery `bad` acts as it is told, its neighbours write a row each."""

    store: Store
    act: Act
    step: bool = False
    runs: list[int] = field(default_factory=list)  # attempts of the bad one
    others: list[int] = field(default_factory=list)
    unready: set[str] = field(default_factory=set)
    notes: Notes = field(default_factory=Notes)
    letters: list[Delivery] = field(default_factory=list)
    worker: Worker = field(init=False)

    def _service(self) -> Service[Any]:
        made = Service("culprits", owner="team-tower", uses=uses, tables=tables)

        async def work(rung: Rung, tx: Tx[World]) -> None:
            if rung.name == "bad":
                self.runs.append(tx.attempt)
                await self.act(await tx.db())
                return
            self.others.append(tx.attempt)
            await (await tx.db()).execute(insert(parents))

        if self.step:

            @made.handler(retry=HASTY)
            async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
                await work(rung, tx)
                return Tolled(name=rung.name)

            @made.undo(toll, Tolled, by="name", retry=HASTY)
            async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx[World]) -> None:
                """Never asked for."""

        else:

            @made.handler(retry=HASTY)
            async def ring(rung: Rung, tx: Tx[World]) -> Echoed:
                await work(rung, tx)
                return Echoed(name=rung.name)

        return made

    async def run(self) -> None:
        """Start, send five deliveries, the second of them bad, and stop when all have ended."""
        clock = SystemClock()
        broker = MemoryBroker(clock=clock)
        self.worker = Worker(
            self._service().using(World()), store=self.store, transport=MemoryTransport(broker, "culprits"),
            signals=Signals([self.notes]), clock=clock, chance=random.Random(1), boot="boot-1",
            config=Config.model_construct(), version="test",
        )  # fmt: skip
        await self.worker.start()
        post = MemoryTransport(broker, "post")
        await post.open()
        try:
            await until(lambda: not self.worker.health(), PATIENCE)
            watch = asyncio.create_task(self._watch())
            names = ("k1", "bad", "k2", "k3", "k4")
            await post.publish([message_of(Rung(name=name), name, clock) for name in names])
            await until(lambda: bool(broker.messages(DEAD)), PATIENCE)
            await until(self.worker.idle, PATIENCE)
            watch.cancel()
            self.letters = [*broker.messages(DEAD)]
        finally:
            await self.worker.stop()
            await post.close()

    async def _watch(self) -> None:
        while True:
            self.unready.update(self.worker.health())
            await asyncio.sleep(0.005)

    def judge(self, *, spared: int = 0, cause: str = "") -> str:
        """The bad one used its attempts and died; nobody else noticed. Returns the letter's error text."""
        [letter] = self.letters
        assert b'"name":"bad"' in letter.body
        assert letter.headers["hocket-death-attempt"] == ATTEMPTS
        assert sorted(set(self.runs)) == [1, 2, 3, 4, 5]
        assert len(self.runs) == ATTEMPTS + spared
        assert self.others == [1] * 4
        assert not self.unready
        assert not [each for each in self.notes.troubles if "the store does not answer" in each]
        queue = "culprits.toll" if self.step else "culprits.ring"
        assert self.notes.attempts_of(queue) == {Word.HANDLED: 4, Word.RETRY: ATTEMPTS - 1, Word.DEAD: 1}
        if cause:
            assert letter.headers["hocket-death-cause"] == cause
        return str(letter.headers["hocket-death-error"])
