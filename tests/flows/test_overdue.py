"""Time-outs on a real broker, over SQLite and over PostgreSQL with two replicas: once, and never over an answer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket import Event, Heard, Service, Tx
from hocket.broker.port import Delivery, Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, kit, of_service, routing_key
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.ids import Ids
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Ended, Listener, Signals
from hocket.worker.worker import Worker
from tests.hocket.sample_services import until

PATIENCE = 60.0
#: Seconds by which a time-out may be later than its time; a busy machine adds to it, so more is granted here.
LATE = 5.0
WITHIN = 3.0
#: Longer than two replicas need to stop on a busy machine.
OUTAGE = 15.0


class Placed(Heard, type="till.placed"):
    """Arms."""

    order: int


class Paid(Heard, type="bank.paid"):
    """Answers."""

    order: int


class Cancelled(Event, type="shop.cancelled", subject="order/{order}"):
    """Fired."""

    order: int


class Ends(Listener):
    """What became of time-outs."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def attempts(self, ended: "list[Ended]") -> None:  # type: ignore[override]  # as it is called
        """Keep the words."""
        self.words += [each.timer for each in ended if each.timer]


class Shop:
    """Replicas of one service with a time-out, and a hand that says what it hears."""

    def __init__(self, url: str, make: Callable[[str, SystemClock], CrashableStore], stack: AsyncExitStack) -> None:
        self.url = url
        self.make = make
        self.stack = stack
        self.within = WITHIN
        self.replicas = 1
        self.fired: list[tuple[int, float]] = []
        self.ends = Ends()
        self.workers: list[Worker] = []
        self.hand = RabbitTransport(url, "hand")
        self.name = f"shop{uuid4().hex[:8]}"

    def service(self) -> Service[None]:
        """The service."""
        service = Service(self.name, owner="tests")

        @service.overdue(timedelta(seconds=self.within), unless=Paid, by="order")
        async def unpaid(order: Placed, tx: Tx) -> None:
            self.fired.append((order.order, time.monotonic()))

        return service

    async def begin(self, within: float) -> None:
        """All replicas, with this time-out."""
        self.within = within
        for _ in range(self.replicas):
            await self.start()

    async def start(self) -> Worker:
        """One more replica."""
        clock, chance = SystemClock(), random.Random(1)
        boot = Ids(clock, chance).uuid7()[:24] + uuid4().hex[:12]
        worker = Worker(
            self.service(), store=self.make(boot, clock), transport=RabbitTransport(self.url, self.name),
            signals=Signals([self.ends]), clock=clock, chance=chance, boot=boot, config=Config(), version="test",
        )  # fmt: skip
        await worker.start()
        await self.until(lambda: worker.idle() and not worker.health())
        self.workers.append(worker)
        return worker

    async def stop(self) -> None:
        """All replicas."""
        while self.workers:
            await self.workers.pop().stop()

    async def say(self, *events: Placed | Paid) -> None:
        """As another service says it, in the flow of its order."""
        messages = []
        for event in events:
            type_, key = type(event).__hocket_type__, uuid4().hex
            envelope = Envelope(
                key, "/hand", type_, 1, "order", datetime.now(UTC), f"flow {event.order}", key, event.model_dump()
            )
            messages.append(
                Message(EVENTS, routing_key(type_, 1), encode(envelope, heard=True), CONTENT_TYPE, type=type_)
            )
        await self.hand.publish(messages)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for it."""
        await until(true, PATIENCE)


@pytest.fixture(params=["sqlite", "postgres"])
async def shop(request: pytest.FixtureRequest, broker_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """The shop over each store."""
    schema = f"overdue_{uuid4().hex}"

    def make(boot: str, clock: SystemClock) -> CrashableStore:
        if request.param == "sqlite":
            return SqliteStore(str(tmp_path / "shop.db"), clock=clock, boot=boot)
        server: PostgresServer = request.getfixturevalue("postgres")
        return PostgresStore(server.url(), clock=clock, boot=boot, schema=schema)

    async with AsyncExitStack() as stack:
        made = Shop(broker_url, make, stack)
        await made.hand.open()
        stack.push_async_callback(made.hand.close)
        stack.push_async_callback(made.stop)
        await made.hand.until_ready()
        await made.hand.declare(kit())
        made.replicas = 1 if request.param == "sqlite" else 2
        yield made


@pytest.mark.rabbitmq
async def test_it_fires_once_and_in_time(shop: Shop) -> None:
    """RULES 5.7: never before its time, once whoever of the replicas calls it, and not where it was answered."""
    await shop.begin(WITHIN)
    began = time.monotonic()
    await shop.say(*[Placed(order=n) for n in range(40)])
    await shop.say(*[Paid(order=n) for n in range(0, 40, 2)])
    await shop.until(lambda: len(shop.fired) >= 20)
    await shop.until(lambda: all(worker.idle() for worker in shop.workers))
    assert sorted(order for order, _ in shop.fired) == list(range(1, 40, 2))
    assert all(WITHIN <= at - began <= WITHIN + LATE for _, at in shop.fired)
    assert shop.ends.words.count("fired") == 20
    await shop.say(Paid(order=1))
    await shop.until(lambda: "late" in shop.ends.words)


@pytest.mark.rabbitmq
async def test_an_answer_of_an_outage_wins(shop: Shop) -> None:
    """RULES 5.7: what stood in the queue before the alarm is heard first, after the time was over long ago."""
    await shop.begin(OUTAGE)
    await shop.say(*[Placed(order=n) for n in range(10)])
    await shop.until(lambda: shop.ends.words.count("armed") == 10)
    await shop.stop()
    assert shop.fired == [], "the service was down before the time was over"
    await shop.say(*[Paid(order=n) for n in range(9)])
    await asyncio.sleep(OUTAGE)
    await shop.start()
    await shop.until(lambda: bool(shop.fired) and shop.workers[0].idle())
    assert [order for order, _ in shop.fired] == [9]
    assert shop.ends.words.count("met") == 9


@pytest.mark.rabbitmq
async def test_a_requeued_delivery_comes_before_what_was_never_delivered(broker_url: str) -> None:
    """RULES 5.7: an answer that a process died with is heard before an alarm that stood behind it."""
    name = f"line{uuid4().hex[:8]}"
    first, second = RabbitTransport(broker_url, name), RabbitTransport(broker_url, name)
    heard: list[tuple[str, bool]] = []

    def keep(delivery: Delivery) -> None:
        heard.append((delivery.body.decode(), delivery.redelivered))

    await first.open()
    await first.until_ready()
    await first.declare(kit() + of_service(name, [(f"{name}.wait", [])], []))
    await first.publish([Message(name, f"{name}.wait", str(n).encode(), "text/plain") for n in range(6)])
    await first.consume(f"{name}.wait", prefetch=3, deliver=keep)
    await until(lambda: len(heard) == 3, PATIENCE)
    await first.close()
    heard.clear()
    await second.open()
    await second.until_ready()
    await second.consume(f"{name}.wait", prefetch=10, deliver=keep)
    await until(lambda: len(heard) == 6, PATIENCE)
    await second.close()
    assert heard == [("0", True), ("1", True), ("2", True), ("3", False), ("4", False), ("5", False)]
