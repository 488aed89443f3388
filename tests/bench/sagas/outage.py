"""A dependency that is down for minutes under a steady load, before two replicas on PostgreSQL."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import asyncpg
from aiohttp import web

from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import DEAD
from hocket.envelope import CONTENT_TYPE
from tests.bench.environment import Databases, Ground, declare
from tests.bench.event import ROUTING_KEY, PlacedEnvelope, as_json, bodies
from tests.bench.measured_process import Task
from tests.bench.processes import Child, ChildFailed, Run
from tests.bench.sagas.calls import Call, burned, part, reached

#: What the dependency saw of the last run.
CALLS_FILE = Path("var/bench/dependency_down.json")
#: Orders a minute, and replicas.
A_MINUTE, REPLICAS = 200, 2
#: Seconds for which it is watched before the outage, of the outage, and at least afterwards.
BEFORE, DOWN, AFTER = 60.0, 300.0, 60.0
#: The breaker's period, and the least that two renewals of the lease allow.
OPEN_FOR, LEAST_OPEN_FOR = 30.0, 10.0
#: Seconds that the dependency takes to answer.
ANSWER_SECONDS = 0.02
#: Seconds within which all must be handled after it is back, else the run is given up.
PATIENCE = 300.0
#: Seconds between two looks at the breaker's row.
LOOK = 0.1
#: Seconds before the orders begin: what the first of all costs is no latency.
WARM = 5.0


@dataclass(slots=True)
class Outside:
    """The dependency: 503 while it is down. It keeps every call that reached it."""

    down: bool = False
    calls: list[Call] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Takes its time, then says how it is."""
        well, began = not self.down, time.time()
        await asyncio.sleep(ANSWER_SECONDS)
        order, attempt = request.headers["X-Order"], int(request.headers["X-Attempt"])
        self.calls.append(Call(order, attempt, began, time.time(), well))
        return web.Response(status=200 if well else 503)

    def charged(self) -> set[str]:
        """The orders that it has answered well."""
        return {each.order for each in self.calls if each.well}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        app = web.Application()
        app.router.add_post("/charge", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/charge"
        finally:
            await runner.cleanup()


@dataclass(slots=True)
class Outage:
    """One run; `scale` shortens its times. Moments are seconds since 1970."""

    amqp: str
    database: str
    scale: float
    outside: Outside = field(default_factory=Outside)
    opened: float = 0.0
    went: float = 0.0
    back: float = 0.0
    drained: float = 0.0
    letters: int = 0
    _sent: dict[str, float] = field(default_factory=dict)

    @property
    def period(self) -> float:
        """The breaker's period in seconds."""
        return max(LEAST_OPEN_FOR, OPEN_FOR * self.scale)

    async def run(self) -> list[tuple[float, float]]:
        """Let it happen; what the other subscription has heard: moments and milliseconds."""
        async with self.outside.listening() as address:
            with ExitStack() as stack:
                task = Task(self.amqp, database=self.database, outside=address, seconds=self.period)
                lives = (BEFORE + DOWN + AFTER) * self.scale + 2 * PATIENCE
                children = [Child("sagas.systems", "charging", task, seconds=lives) for _ in range(REPLICAS)]
                for child in children:
                    stack.callback(child.end)
                    await asyncio.to_thread(child.ready)
                    child.go()
                await self._story()
                found = []
                for child in children:
                    child.go()
                    found += (await asyncio.to_thread(child.result))["heard"]
        return found

    async def _story(self) -> None:
        async with asyncio.TaskGroup() as group:
            source, watcher = group.create_task(self._orders()), group.create_task(self._watch())
            await asyncio.sleep(WARM + BEFORE * self.scale)
            self.outside.down, self.went = True, time.time()
            await asyncio.sleep(DOWN * self.scale)
            self.outside.down, self.back = False, time.time()
            early = {order for order, sent in self._sent.items() if sent < self.back}
            await self._until_charged(early)
            self.drained = time.time()
            await asyncio.sleep(max(0.0, self.back + AFTER * self.scale - time.time()))
            source.cancel()
            await self._until_charged(self._sent)
            watcher.cancel()
        self.letters = await _letters(self.amqp)

    async def _until_charged(self, orders: Iterable[str]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.outside.charged().issuperset(orders):  # noqa: ASYNC110 -- it is asked from outside
                await asyncio.sleep(LOOK)

    async def _orders(self) -> None:
        transport = RabbitTransport(self.amqp, "source")
        await transport.open()
        try:
            await transport.until_ready()
            began = time.monotonic()
            for number, body in enumerate(bodies(10 * A_MINUTE * int(1 + PATIENCE / 60))):
                await asyncio.sleep(max(0.0, began + number * 60 / A_MINUTE - time.monotonic()))
                envelope = PlacedEnvelope.model_validate_json(body)
                envelope.data.sent_ns = time.monotonic_ns()
                self._sent[envelope.data.order_id] = time.time()
                await transport.publish([Message("hocket.events", ROUTING_KEY, as_json(envelope), CONTENT_TYPE)])
        finally:
            await transport.close()

    async def _watch(self) -> None:
        """See in the breaker's row when it opened, by the store's clock, which is the machine's."""
        connection = await asyncpg.connect(self.database)
        try:
            while not self.opened:
                state = await connection.fetchrow("SELECT state, updated FROM hocket_breakers WHERE name = 'card-api'")
                if state is not None and state["state"] == "open":
                    self.opened = state["updated"]
                await asyncio.sleep(LOOK)
        finally:
            await connection.close()


async def _letters(amqp: str) -> int:
    async with await aio_pika.connect(amqp) as connection:
        channel = await connection.channel()
        return (await channel.declare_queue(DEAD, passive=True)).declaration_result.message_count or 0


def _kept(story: Outage) -> None:
    """Write what the dependency saw, so that a missed goal can be looked into."""
    CALLS_FILE.parent.mkdir(parents=True, exist_ok=True)
    moments = {"went": story.went, "opened": story.opened, "back": story.back, "drained": story.drained}
    calls = sorted(story.outside.calls, key=lambda each: each.began)
    CALLS_FILE.write_text(json.dumps(moments | {"calls": [each._asdict() for each in calls]}) + "\n", encoding="utf-8")


def outage(ground: Ground, databases: Databases, name: str, scale: float) -> Run:
    """One outage, judged by what the dependency saw and by what the other subscription heard."""
    amqp = ground.fresh()
    asyncio.run(declare(amqp, [("billing", [("charge", ROUTING_KEY), ("note", ROUTING_KEY)])]))
    story = Outage(amqp, databases.fresh("postgres"), scale)
    heard = asyncio.run(story.run())
    _kept(story)
    if not story.opened:
        raise ChildFailed("the breaker did not open")
    found = reached(story.outside.calls, story.opened, story.back, story.period)
    before, later = burned(story.outside.calls, story.opened)
    start = story.went - BEFORE * scale
    spans = {"before": (start, story.went), "down": (story.opened, story.back), "after": (story.back, float("inf"))}
    beside = {which: [ms for at, ms in heard if since <= at < until] for which, (since, until) in spans.items()}
    values = {
        "reached": found.probes + found.beyond,
        "beyond_slots": found.beyond,
        "burned_before": before,
        "burned_later": later,
        "letters": story.letters,
        "drain_s": story.drained - story.back,
        **{f"beside_{which}_p50_ms": part(each, 0.5) for which, each in beside.items()},
        **{f"beside_{which}_p95_ms": part(each, 0.95) for which, each in beside.items()},
    }
    for which in ("down", "after"):
        values[f"beside_{which}"] = values[f"beside_{which}_p50_ms"] / values["beside_before_p50_ms"]
    return Run({f"{name}_{which}": float(value) for which, value in values.items()})
