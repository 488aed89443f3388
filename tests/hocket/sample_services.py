"""Small services whose handlers do what a test asks for, and processes that run them under virtual time."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from hocket import Breaker, Death, Event, Heard, Retry, Service, Tx
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import Delivery, Handle, Message, Verdict
from hocket.broker.topology import DEAD, EVENTS, LOG, RECEIPTS, routing_key
from hocket.clock import Clock
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE, Envelope, decode, encode
from hocket.envelope.ids import Ids
from hocket.errors import StoreError
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Admitted, Ending, InboxRow, Written
from hocket.store.sqlite.store import SqliteStore
from hocket.store.sqlite.transaction import SqliteTx
from hocket.telemetry.signals import Listener, Sent, Signals
from hocket.worker import Worker
from tests.hocket.killable_process import kill_process

FLOW = "0198c5b8-0000-7000-8000-000000000001"
#: Longer than all retries of one handler together.
LONG = timedelta(minutes=5)
#: Virtual seconds after which a wait fails.
PATIENCE = 7200.0
BRIEF = Retry(retries=4, first=timedelta(seconds=1), longest=timedelta(seconds=1))

tables = MetaData()
tolled = Table("tolled", tables, Column("id", Integer, primary_key=True), Column("name", String, nullable=False))


class Ill(Exception):
    """An outside call failed."""


rope = Breaker("rope", failures=(Ill,), after=3, open_for=timedelta(seconds=10))


class Rung(Heard, type="bell.rung"):
    name: str
    loud: int = 0


class Shut(Heard, type="tower.shut"):
    name: str


class Echoed(Event, type="bell.echoed", subject="bell/{name}"):
    name: str


class Tolled(Event, type="bell.tolled", subject="bell/{name}"):
    name: str


class Cracked(Event, type="bell.cracked", subject="bell/{name}"):
    name: str
    why: str


class Hushed(Event, type="bell.hushed", subject="bell/{name}"):
    name: str


Behave = Callable[[Any, Tx["World"]], Awaitable[Any]]


async def nothing(heard: Heard, tx: Tx["World"]) -> None:
    """Do nothing and say nothing."""


@dataclass
class World:
    """What the handlers do, and a record of what they did."""

    behave: Behave = nothing
    undo: Behave = nothing
    attempts: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    undone: list[tuple[str, bool, str, str]] = field(default_factory=list)  # name, with a result, why, key


def uses() -> AbstractAsyncContextManager[World]:
    """Never called: tests give the service a `World` by `using`."""
    raise AssertionError("give the service a world by using()")


bells = Service("bells", owner="team-tower", uses=uses, tables=tables)


@bells.handler(retry=BRIEF)
async def ring(rung: Rung, tx: Tx[World]) -> Echoed | None:
    tx.use.attempts.append(tx.attempt)
    tx.use.keys.append(tx.idempotency_key)
    said: Echoed | None = await tx.use.behave(rung, tx)
    return said


steps = Service("steps", owner="team-tower", uses=uses, tables=tables)


@steps.handler(retry=BRIEF)
async def toll(rung: Rung, tx: Tx[World]) -> Tolled | None:
    tx.use.attempts.append(tx.attempt)
    tx.use.keys.append(tx.idempotency_key)
    said: Tolled | None = await tx.use.behave(rung, tx)
    return said


@steps.on_dead(toll)
def cracked(rung: Rung, death: Death) -> Cracked:
    if rung.name == "mute":
        raise RuntimeError("no last word")
    return Cracked(name=rung.name, why=death.cause)


@steps.undo(toll, Tolled, by="name", retry=BRIEF)
async def hush(rung: Rung, did: Tolled | None, why: Shut | Cracked, tx: Tx[World]) -> Hushed:
    tx.use.undone.append((rung.name, did is not None, type(why).__name__, tx.idempotency_key))
    await tx.use.undo(rung, tx)
    return Hushed(name=rung.name)


ropes = Service("ropes", owner="team-tower", uses=uses)


@ropes.handler(retry=BRIEF, breaker=rope)
async def pull(rung: Rung, tx: Tx[World]) -> None:
    async with tx.outside(rope) as key:
        tx.use.keys.append(key)
        tx.use.attempts.append(tx.attempt)
        await tx.use.behave(rung, tx)


async def book(rung: Rung, tx: Tx[World]) -> Echoed:
    """Write a row in the handler's own transaction, and say an event."""
    await (await tx.db()).execute(insert(tolled).values(name=rung.name))
    return Echoed(name=rung.name)


async def echo(rung: Rung, tx: Tx[World]) -> Echoed:
    """Say an event."""
    return Echoed(name=rung.name)


async def fail(rung: Heard, tx: Tx[World]) -> None:
    """Fail."""
    raise ValueError("no clapper")


async def booked(worker: Worker) -> list[str]:
    """What handlers have written to the service's own table."""
    async with worker.runtime.store.read() as db:
        return [row.name for row in await db.execute(select(tolled.c.name).order_by(tolled.c.id))]


class FaultyStore(SqliteStore):
    """SQLite whose statements a test can make fail."""

    broken = ""
    refuses: Callable[[Sequence[Ending]], Exception | None] = staticmethod(lambda endings: None)

    def _fail(self) -> None:
        if self.broken:
            raise StoreError(self.broken)

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        self._fail()
        if (error := self.refuses(endings)) is not None:
            raise error
        return await super().commit(endings)

    async def inbox(self, keys: Sequence[bytes]) -> dict[bytes, InboxRow]:
        self._fail()
        return dict(await super().inbox(keys))

    async def admit(self, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        self._fail()
        return await super().admit(keys, begins, runs)

    @asynccontextmanager
    async def transaction(self, lease: float | None = None) -> AsyncIterator[SqliteTx]:
        self._fail()
        async with super().transaction(lease) as tx:
            yield tx
            self._fail()


class Nacks(Listener):
    """Counts the publishes that the broker has nacked, as a metric does."""

    def __init__(self) -> None:
        self.count = 0

    def published(self, sent: Sequence[Sent]) -> None:
        self.count += sum(each.verdict == Verdict.NACKED.value for each in sent)


class Processes:
    """A memory broker, and processes with a database file each that can be stopped, killed and restarted."""

    def __init__(self, folder: Path, clock: Clock, seed: int = 1) -> None:
        self.folder = folder
        self.clock = clock
        self.chance = random.Random(seed)
        self.ids = Ids(clock, self.chance)
        self.broker = MemoryBroker(clock=clock)
        self.post = MemoryTransport(self.broker, "post")
        self.workers: dict[str, Worker] = {}
        self.nacks = Nacks()
        self.signals = Signals([self.nacks])  # of the services that start from now on

    async def start(self, service: Service[Any], config: Config | None = None) -> Worker:
        """Start a process with a new boot id, on the database file of the process before it."""
        boot = self.ids.uuid7()
        worker = Worker(
            service,
            store=FaultyStore(str(self.folder / f"{service.name}.db"), clock=self.clock, boot=boot, inline=True),
            transport=MemoryTransport(self.broker, service.name),
            signals=self.signals,
            clock=self.clock,
            chance=self.chance,
            boot=boot,
            version="test",
            config=config or Config.model_construct(),
        )
        await worker.start()
        self.workers[service.name] = worker
        return worker

    async def kill(self, name: str) -> None:
        """End a process as SIGKILL does."""
        await kill_process(self.workers.pop(name), self.broker)

    async def stop(self, name: str) -> None:
        """End a process as SIGTERM does."""
        await self.workers.pop(name).stop()

    async def close(self) -> None:
        """Stop every process."""
        for name in list(self.workers):
            await self.stop(name)
        await self.post.close()

    async def quiet(self) -> None:
        """Return when everything that is due now is done."""
        await until(self.at_rest)

    def at_rest(self) -> bool:
        """Whether everything that is due now is done."""
        for worker in self.workers.values():
            assert worker.live, worker.runtime.tasks.failed
        return self.broker.idle() and all(worker.idle() for worker in self.workers.values())

    async def advance(self, by: timedelta) -> None:
        """Let this much time pass, and wait until everything that became due is done."""
        await self.quiet()
        await asyncio.sleep(by.total_seconds())
        await self.quiet()

    def log(self) -> list[Envelope]:
        """All events of the log."""
        now = self.clock.now()
        return [decode(each.body, each.content_type, each.headers, now) for each in self.broker.messages(LOG)]

    def receipts(self) -> list[dict[str, Any]]:
        """All receipts."""
        facts = [fact for each in self.broker.messages(RECEIPTS) for fact in json.loads(each.body)]
        return [fact for fact in facts if fact["kind"] == "receipt"]

    def letters(self) -> list[Delivery]:
        """All dead letters."""
        return self.broker.messages(DEAD)

    async def hear(self, event: Heard, key: str, **attributes: Any) -> None:
        """Publish an event as another team's service does, again and again until it is confirmed."""
        message = message_of(event, key, self.clock, **attributes)
        [answer] = await self.post.publish([message])
        while answer.verdict is Verdict.NACKED:
            [answer] = await self.post.publish([message])


def message_of(event: Heard, key: str, clock: Clock, **attributes: Any) -> Message:
    """An event of the service `/post` as a message: `headers` are the message's, other keywords the envelope's."""
    type_, version = type(event).__hocket_type__, type(event).__hocket_version__
    headers = attributes.pop("headers", {})
    envelope = Envelope(**{
        "id": key, "source": "/post", "type": type_, "version": version, "subject": "bell/a", "time": clock.now(),
        "correlation_id": FLOW, "idempotency_key": key, "data": event.model_dump(mode="json"), **attributes,
    })  # fmt: skip
    return Message(EVENTS, routing_key(type_, version), encode(envelope), CONTENT_TYPE, headers)


def delivery_of(message: Message, queue: str) -> Delivery:
    """The message as it is delivered from a queue."""
    return Delivery(queue, Handle(1, 1), message.body, message.content_type, dict(message.headers))


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for a condition, at most `patience` seconds of the loop's time."""
    end = asyncio.get_running_loop().time() + patience
    while not condition():
        assert asyncio.get_running_loop().time() < end, "the condition did not become true"
        await asyncio.sleep(0.01)
