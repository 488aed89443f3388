"""RULES 7.5, 9, 14.1 over a real broker: an ordered projection with history, killed and handed over, on each store."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from deploy.database.server import PostgresServer
from hocket import Heard, Retry, Service, Tx
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import DEAD, EVENTS, kit, routing_key
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.delivery.ordering.lane import Lane
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.delivery.projecting.batch import BatchLane
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.canonical_json import Json
from hocket.envelope.ids import Ids
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.store.sqlite.store import SqliteStore
from hocket.streams.backfill.reading import Reading
from hocket.telemetry.signals import Signals
from hocket.worker.worker import Worker
from tests.hocket.sample_services import until

PATIENCE = 90.0
SUBJECTS = 4
SOON = Config.model_construct(backfill_marker_seconds=1.0, backfill_patrol_seconds=1.0)


class Quay:
    """Replicas of one service with an ordered projection, and a hand that says what it hears."""

    def __init__(self, url: str, make: Callable[[str, SystemClock], CrashableStore], replicas: int) -> None:
        self.url, self.make, self.replicas = url, make, replicas
        self.name = f"quay{uuid4().hex[:8]}"
        self.meta = MetaData()
        self.moves = Table(
            "moves", self.meta, Column("id", Integer, primary_key=True), Column("subject", Text), Column("n", Integer)
        )
        self.hand = RabbitTransport(url, "hand")
        self.workers: list[Worker] = []
        self.ill: dict[tuple[str, int], int] = {}
        self.letters: list[Any] = []
        self.pause = 0.0

    @property
    def queue(self) -> str:
        """Of the first generation."""
        return f"{self.name}.view@1.ordered"

    def service(self) -> Service[None]:
        """The service."""
        service = Service(self.name, owner="tests", tables=self.meta)

        class Moved(Heard, type=f"{self.name}.moved"):
            """An event of one of some subjects; a type of its own, since the log is that of all tests."""

            subject: str
            n: int

        retry = Retry(retries=2, first=timedelta(seconds=0.2), longest=timedelta(seconds=0.2))

        @service.projection(self.moves, retry=retry)
        async def view(moved: Moved, tx: Tx) -> None:
            db = await tx.db()
            await db.execute(insert(tx.table(self.moves)).values(subject=moved.subject, n=moved.n))
            await asyncio.sleep(self.pause)
            if self.ill.get((moved.subject, moved.n), 0) > 0:
                self.ill[moved.subject, moved.n] -= 1
                raise ValueError("ill")

        return service

    async def start(self) -> Worker:
        """One more replica."""
        clock, chance = SystemClock(), random.Random()
        boot = Ids(clock, chance).uuid7()[:24] + uuid4().hex[:12]
        worker = Worker(
            self.service(), store=self.make(boot, clock), transport=RabbitTransport(self.url, self.name),
            signals=Signals([]), clock=clock, chance=chance, boot=boot, config=SOON, version="test",
        )  # fmt: skip
        self.workers.append(worker)
        await worker.start()
        return worker

    async def begin(self) -> None:
        """As many as the store allows."""
        while len(self.workers) < self.replicas:
            await self.start()

    async def kill(self, worker: Worker) -> None:
        """It ends as a killed process does."""
        self.workers.remove(worker)
        await worker.kill()
        await worker.runtime.transport.close()
        await worker.runtime.store.abandon()  # type: ignore[attr-defined]

    def lane(self, worker: Worker) -> Lane | None:
        """The lane of its generation, once it is there."""
        runner = worker.runners.get(self.queue)
        return runner.lane if isinstance(runner, OrderedRunner) else None

    def active(self) -> Worker | None:
        """Whoever has an open lane."""
        return next((each for each in self.workers if (lane := self.lane(each)) is not None and lane.opened), None)

    async def say(self, first: int, each: int) -> None:
        """So many of each subject, in turn."""
        messages, type_ = [], f"{self.name}.moved"
        for n in range(first, first + each):
            for subject in [f"s{number}" for number in range(SUBJECTS)]:
                key, data = uuid4().hex, dict[str, Json](subject=subject, n=n)
                envelope = Envelope(key, "/hand", type_, 1, subject, datetime.now(UTC), key, key, data)
                body = encode(envelope, heard=True)
                messages.append(Message(EVENTS, routing_key(type_, 1), body, CONTENT_TYPE, type=type_))
        await self.hand.publish(messages)

    async def rows(self) -> dict[str, list[int]]:
        """The read model, each subject in the order of its rows."""
        table, found = self.moves.to_metadata(MetaData(), name="moves__1"), dict[str, list[int]]()
        worker = self.workers[0]
        try:
            async with worker.runtime.store.read() as db:
                for row in await db.execute(select(table).order_by(table.c.id)):
                    found.setdefault(row.subject, []).append(row.n)
        except Exception:  # noqa: BLE001 -- it is not made yet, or the store is being opened
            return {}
        return found

    async def until_rows(self, many: int) -> None:
        """Wait until so many are there."""
        async with asyncio.timeout(PATIENCE):
            while sum(map(len, (await self.rows()).values())) < many:  # noqa: ASYNC110 -- the store tells nobody
                await asyncio.sleep(0.1)

    def ours(self) -> list[Any]:
        """The letters of this service."""
        return [each for each in self.letters if each.headers["hocket-death-subscription"] == self.queue]


@pytest.fixture(params=["sqlite", "postgres"])
async def quay(request: pytest.FixtureRequest, broker_url: str, tmp_path: Path) -> AsyncIterator[Quay]:
    """The quay over each store: one process on SQLite, two replicas on PostgreSQL."""
    schema = f"quay_{uuid4().hex}"

    def make(boot: str, clock: SystemClock) -> CrashableStore:
        if request.param == "sqlite":
            return SqliteStore(str(tmp_path / "quay.db"), clock=clock, boot=boot)
        server: PostgresServer = request.getfixturevalue("postgres")
        return PostgresStore(server.url(), clock=clock, boot=boot, schema=schema)

    made = Quay(broker_url, make, 1 if request.param == "sqlite" else 2)
    await made.hand.open()
    await made.hand.until_ready()
    await made.hand.declare(kit())
    yield made
    for worker in made.workers:
        await worker.stop(2.0)
    await made.hand.close()


@pytest.mark.rabbitmq
async def test_order_in_the_rows_through_kills_failures_and_a_replay(quay: Quay) -> None:
    """RULES 7.5, 9.2, 9.6, 14.1: one fails and is retried, one dies and is replayed; who works is killed on and on."""
    quay.ill = {("s0", 3): 1, ("s1", 5): 99, ("s2", 33): 2, ("s3", 45): 1}
    quay.pause = 0.01
    await quay.say(0, 30)
    consumer = await quay.hand.consume(DEAD, prefetch=100, deliver=quay.letters.append)
    for part in range(4):
        await quay.begin()
        await until(lambda: quay.active() is not None, PATIENCE)
        await quay.say(30 + 10 * part, 10)
        await asyncio.sleep(random.random())
        worker = quay.active() or quay.workers[0]
        if part % 2:
            lane = quay.lane(worker)
            assert lane is not None
            await lane.renew()
        else:
            await quay.kill(worker)
    await quay.begin()
    await quay.until_rows(3 * 70 + 5)
    await until(lambda: bool(quay.ours()), PATIENCE)
    whole = list(range(70))
    assert await quay.rows() == {"s0": whole, "s1": whole[:5], "s2": whole, "s3": whole}
    quay.ill.clear()
    [letter] = quay.ours()
    death = str(letter.headers["hocket-death-id"])
    await quay.workers[0].send(quay.queue, letter.body, letter.content_type, replay=death, attempt=4)
    await quay.until_rows(4 * 70)
    assert await quay.rows() == {f"s{n}": whole for n in range(SUBJECTS)}
    await consumer.close()


STEPS: dict[str, tuple[Any, str]] = {
    "the log is opened": (Lane, "open_history"),
    "a batch is folded": (BatchLane, "_fold"),
    "the marker is folded": (Reading, "_cut_over"),
    "the queue is consumed": (OrderedRunner, "consume"),
    "the token is taken": (Lane, "take"),
}


@pytest.mark.rabbitmq
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_after_each_step_keeps_the_order(quay: Quay, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """RULES 7.5, 9.1, 14.1: whatever step the process dies after, each subject's rows are whole and in order."""
    owner, name = STEPS[step]
    work: Callable[..., Any] = getattr(owner, name)
    died, turn = asyncio.Event(), 2 if step == "the token is taken" else 1
    calls = 0

    async def dies(*given: Any, **words: Any) -> Any:
        nonlocal calls
        calls += not died.is_set()
        done = await work(*given, **words)
        if died.is_set() or calls < turn:
            return done
        died.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(owner, name, dies)
    quay.ill = {("s1", 2): 2, ("s2", 8): 1}
    await quay.say(0, 6)
    replicas, quay.replicas = quay.replicas, 1
    await quay.begin()
    await asyncio.wait_for(died.wait(), PATIENCE)
    await quay.say(6, 3)
    await quay.kill(quay.workers[0])
    quay.replicas = replicas
    await quay.begin()
    await quay.say(9, 3)
    await quay.until_rows(SUBJECTS * 12)
    assert await quay.rows() == {f"s{n}": list(range(12)) for n in range(SUBJECTS)}
