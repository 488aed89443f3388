"""RULES 9 over a real broker: SQLite with one process, PostgreSQL with two replicas that take the queue in turn."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket import Heard, Retry, Service, Tx
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, kit, routing_key
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.ids import Ids
from hocket.store.ordering.tokens import lines_of, take
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Signals
from hocket.worker.worker import Worker
from tests.hocket.sample_services import until

PATIENCE = 60.0
SUBJECTS, EACH = 6, 40


class Moved(Heard, type="yard.moved"):
    """An event of one of some subjects."""

    subject: str
    n: int


class Yard:
    """Replicas of one service with an ordered handler, and a hand that says what it hears."""

    def __init__(self, url: str, make: Callable[[str, SystemClock], CrashableStore], replicas: int) -> None:
        self.url = url
        self.make = make
        self.replicas = replicas
        self.name = f"yard{uuid4().hex[:8]}"
        self.hand = RabbitTransport(url, "hand")
        self.workers: list[Worker] = []
        self.ordered = True
        self.moved: dict[str, list[int]] = {}  # as the handlers' transactions committed or were about to
        self.by: dict[str, str] = {}
        self.busy: dict[str, int] = {}
        self.overlaps = 0
        self.ill: set[tuple[str, int]] = set()
        self.pause = 0.01
        self.gates: dict[tuple[str, int], asyncio.Event] = {}

    def service(self) -> Service[None]:
        """The service."""
        service = Service(self.name, owner="tests")
        retry = Retry(retries=5, first=timedelta(seconds=0.2), longest=timedelta(seconds=0.2))

        @service.handler(retry=retry, ordered=self.ordered)
        async def move(moved: Moved, tx: Tx) -> None:
            self.busy[moved.subject] = self.busy.get(moved.subject, 0) + 1
            self.overlaps += self.busy[moved.subject] > 1
            try:
                await asyncio.sleep(self.pause * random.random())
                if (gate := self.gates.get((moved.subject, moved.n))) is not None:
                    await gate.wait()
                if (moved.subject, moved.n) in self.ill:
                    self.ill.discard((moved.subject, moved.n))
                    raise ValueError("ill")
                self.moved.setdefault(moved.subject, []).append(moved.n)
            finally:
                self.busy[moved.subject] -= 1

        return service

    async def start(self) -> Worker:
        """One more replica."""
        clock, chance = SystemClock(), random.Random()
        boot = Ids(clock, chance).uuid7()[:24] + uuid4().hex[:12]
        worker = Worker(
            self.service(), store=self.make(boot, clock), transport=RabbitTransport(self.url, self.name),
            signals=Signals([]), clock=clock, chance=chance, boot=boot, config=Config(), version="test",
        )  # fmt: skip
        await worker.start()
        await until(lambda: not worker.health(), PATIENCE)
        self.workers.append(worker)
        return worker

    async def begin(self) -> None:
        """All replicas."""
        for _ in range(self.replicas):
            await self.start()

    async def stop(self) -> None:
        """All replicas."""
        while self.workers:
            await self.workers.pop().stop(2.0)

    async def say(self, subjects: int = SUBJECTS, first: int = 0, each: int = EACH) -> None:
        """So many of each subject, in turn."""
        messages = []
        for n in range(first, first + each):
            for subject in range(subjects):
                event, key = Moved(subject=f"s{subject}", n=n), uuid4().hex
                envelope = Envelope(
                    key, "/hand", "yard.moved", 1, f"s{subject}", datetime.now(UTC), key, key, event.model_dump()
                )
                body = encode(envelope, heard=True)
                messages.append(Message(EVENTS, routing_key("yard.moved", 1), body, CONTENT_TYPE, type="yard.moved"))
        await self.hand.publish(messages)

    def first_times(self) -> dict[str, list[int]]:
        """Each subject's events in the order in which they were first moved."""
        return {subject: list(dict.fromkeys(moved)) for subject, moved in self.moved.items()}

    async def until_moved(self, subjects: int = SUBJECTS, each: int = EACH) -> None:
        """Wait until everything was moved."""
        done = lambda: sum(len(moved) for moved in self.first_times().values()) == subjects * each  # noqa: E731
        await until(done, PATIENCE)

    def runner(self, worker: Worker) -> OrderedRunner:
        """The runner of its handler."""
        [runner] = worker.runners.values()
        assert isinstance(runner, OrderedRunner)
        return runner

    def active(self) -> Worker:
        """Whoever has an open lane."""
        return next(each for each in self.workers if self.runner(each).lane.opened)


@pytest.fixture(params=["sqlite", "postgres"])
async def yard(request: pytest.FixtureRequest, broker_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    """The yard over each store."""
    schema = f"yard_{uuid4().hex}"

    def make(boot: str, clock: SystemClock) -> CrashableStore:
        if request.param == "sqlite":
            return SqliteStore(str(tmp_path / "yard.db"), clock=clock, boot=boot)
        server: PostgresServer = request.getfixturevalue("postgres")
        return PostgresStore(server.url(), clock=clock, boot=boot, schema=schema)

    made = Yard(broker_url, make, 1 if request.param == "sqlite" else 2)
    await made.hand.open()
    await made.hand.until_ready()
    await made.hand.declare(kit())
    yield made
    await made.stop()
    await made.hand.close()


IN_ORDER = {f"s{subject}": list(range(EACH)) for subject in range(SUBJECTS)}


@pytest.mark.rabbitmq
async def test_each_subject_is_in_order_through_failures(yard: Yard) -> None:
    """RULES 9.3 to 9.5: also where some fail, on each store."""
    yard.ill = {("s1", 3), ("s1", 4), ("s2", 0), ("s4", 39)}
    await yard.begin()
    await yard.say()
    await yard.until_moved()
    assert yard.moved == IN_ORDER
    assert yard.overlaps == 0


@pytest.mark.rabbitmq
async def test_order_outlives_stops_and_lost_connections(yard: Yard) -> None:
    """RULES 9.1, 9.2: whoever works stops, or loses its broker, again and again; the next goes on in order."""
    yard.ill = {("s1", 3), ("s2", 7), ("s3", 20), ("s5", 30)}
    yard.pause = 0.05
    await yard.begin()
    await yard.say()
    for turn in range(4):
        await until(lambda turn=turn: sum(map(len, yard.moved.values())) >= 30 * (turn + 1), PATIENCE)  # type: ignore[misc]
        worker = yard.active()
        if turn % 2:
            yard.workers.remove(worker)
            await worker.stop(0.1)
            await yard.start()
        else:
            await yard.runner(worker).lane.renew()
    await yard.until_moved()
    assert yard.first_times() == IN_ORDER


@pytest.mark.rabbitmq
async def test_who_has_lost_the_token_gives_all_back(yard: Yard) -> None:
    """RULES 9.1: its commits are refused, it opens a new channel, and nothing is lost or out of order."""
    await yard.begin()
    gate = yard.gates["s0", 5] = asyncio.Event()
    await yard.say()
    await until(lambda: yard.busy.get("s0") == 1 and len(yard.moved.get("s0", [])) == 5, PATIENCE)
    worker = yard.active()
    lane, store = yard.runner(worker).lane, worker.runtime.store
    token = lane.token
    taken = await take(store, lane.subscription, "somebody", 1.0, token)
    assert taken is not None
    gate.set()
    await until(lambda: any(yard.runner(each).lane.token > taken.token for each in yard.workers), PATIENCE)
    assert taken.token > token
    await yard.until_moved()
    assert yard.first_times() == IN_ORDER
    assert yard.moved["s0"].count(5) == 2, "what it did without the token was not kept, and is done again"


@pytest.mark.rabbitmq
async def test_order_is_switched_on_and_off(yard: Yard) -> None:
    """RULES 9.10: what the former queue and the former lines held is handled once."""
    yard.ordered, yard.pause = False, 0.0
    await yard.begin()
    await yard.say(each=20)
    await yard.until_moved(each=20)
    gates = [yard.gates.setdefault((f"s{n}", 20), asyncio.Event()) for n in range(SUBJECTS)]
    await yard.say(first=20, each=10)
    await until(lambda: sum(map(len, yard.moved.values())) == SUBJECTS * 29, PATIENCE)
    await yard.stop()
    yard.ordered = True
    for gate in gates:
        gate.set()
    await yard.begin()
    await yard.say(first=30, each=5)
    await yard.until_moved(each=35)
    assert all(moved[-5:] == list(range(30, 35)) for moved in yard.first_times().values())
    head = yard.gates["s0", 35] = asyncio.Event()
    await yard.say(first=35, each=30)
    await until(lambda: sum(len(moved) for moved in yard.first_times().values()) == SUBJECTS * 65 - 30, PATIENCE)
    store, lane = yard.active().runtime.store, yard.runner(yard.active()).lane

    async def parked() -> int:
        line = (await lines_of(store, lane.subscription, ["s0"])).get("s0")
        return line.waiting if line is not None else 0

    async with asyncio.timeout(PATIENCE):
        while await parked() < 20:  # noqa: ASYNC110 -- the store tells nobody
            await asyncio.sleep(0.05)
    await yard.stop()
    yard.ordered = False
    head.set()
    await yard.begin()
    await yard.until_moved(each=65)
