"""Measures a backfill of a million events (times SCALE) beside 200 live events a second.

Three runs of one service process on a private broker: the live events alone; the same number of events from a queue
that has filled up; the backfill with the live events beside it. The live events are said by a process of their own.
"""

import asyncio
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.broker.node import RabbitNode
from hocket import Heard, Service, Tx
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, kit, routing_key
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.ids import Ids
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Signals
from hocket.worker import Worker

#: Events of history, live events a second, and seconds for which these are measured alone.
EVENTS_OF_HISTORY, LIVE_PER_SECOND, ALONE_SECONDS = 1_000_000, 200, 15.0
#: Messages published together, and seconds after which a run is given up.
BATCH, MOST_SECONDS = 256, 3600.0
#: What is reached: the rate beside that of a queue, and the live latency beside that of live events alone.
LEAST_RATE, MOST_LATENCY = 0.6, 2.0


class Past(Heard, type="bench.past"):
    """What is history."""

    number: int
    text: str


class Live(Heard, type="bench.live"):
    """What is said meanwhile."""

    sent_ns: int


def _message(ids: Ids, event: Heard) -> Message:
    name = type(event)
    id = ids.uuid7()
    envelope = Envelope(
        id=id, source="/bench", type=name.__hocket_type__, version=1, subject=f"bench/{id[-4:]}", correlation_id=id,
        time=SystemClock().now(), idempotency_key=id, data=event.model_dump(mode="json"),
    )  # fmt: skip
    return Message(EVENTS, routing_key(name.__hocket_type__, 1), encode(envelope), CONTENT_TYPE)


def speak(url: str, seconds: float) -> None:
    """The process that says live events, at their rate."""

    async def run() -> None:
        ids, transport = Ids(SystemClock(), random.Random(7)), RabbitTransport(url, "live")
        await transport.open()
        await transport.until_ready()
        began, said = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            await transport.publish([_message(ids, Live(sent_ns=time.monotonic_ns()))])
            said += 1
            await asyncio.sleep(max(0.0, began + said / LIVE_PER_SECOND - time.monotonic()))
        await transport.close()

    asyncio.run(run())


class Measured:
    """One service, what it has heard, and how late the live events came."""

    def __init__(self, name: str, *, since: bool) -> None:
        self.past = 0
        self.late: list[float] = []
        self.service: Service[None] = Service(name, owner="bench")

        @self.service.handler(name="live")
        async def live(live: Live, tx: Tx) -> None:
            self.late.append((time.monotonic_ns() - live.sent_ns) / 1e6)

        async def hear(past: Past, tx: Tx) -> None:
            self.past += 1

        (self.service.handler(since="first") if since else self.service.handler)(hear)

    @asynccontextmanager
    async def running(self, url: str, folder: Path) -> AsyncIterator[Worker]:
        """Its process, ready."""
        clock, chance = SystemClock(), random.Random(1)
        boot = Ids(clock, chance).uuid7()
        worker = Worker(
            self.service,
            store=SqliteStore(str(folder / f"{self.service.name}.db"), clock=clock, boot=boot),
            transport=RabbitTransport(url, self.service.name),
            signals=Signals([]),
            clock=clock,
            chance=chance,
            boot=boot,
            config=Config.model_construct(backfill_marker_seconds=1.0),
            version="bench",
        )
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    async def heard(self, many: int) -> None:
        """Return when so many of the past were heard."""
        async with asyncio.timeout(MOST_SECONDS):
            while self.past < many:  # noqa: ASYNC110 -- it is measured, not waited for
                await asyncio.sleep(0.01)


async def fill(url: str, many: int, queues: Service[None]) -> None:
    """Say the past; the queues of this service take it too."""
    ids, transport = Ids(SystemClock(), random.Random(3)), RabbitTransport(url, "past")
    await transport.open()
    await transport.until_ready()
    await transport.declare(kit() + queues.declarations.topology())
    for first in range(0, many, BATCH * 8):
        numbers = range(first, min(first + BATCH * 8, many))
        messages = [_message(ids, Past(number=number, text="x" * 400)) for number in numbers]
        await asyncio.gather(*(transport.publish(messages[n : n + BATCH]) for n in range(0, len(messages), BATCH)))
    await transport.close()


def percentiles(late: Sequence[float]) -> dict[str, float]:
    """The median and the 99th of a hundred, in milliseconds."""
    cuts = statistics.quantiles(late, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2), "events": len(late)}


async def measure(url: str, folder: Path, many: int) -> dict[str, object]:
    """The three runs."""
    report: dict[str, object] = {"events": many}
    queued = Measured("queued", since=False)
    await fill(url, many, queued.service)
    context = multiprocessing.get_context("spawn")
    alone = Measured("alone", since=False)
    async with alone.running(url, folder):
        speaker = context.Process(target=speak, args=(url, ALONE_SECONDS))
        speaker.start()
        await asyncio.sleep(ALONE_SECONDS + 2)
        speaker.join(60)
    report["live alone"] = percentiles(alone.late)
    began = time.monotonic()
    async with queued.running(url, folder):
        await queued.heard(many)
        plain = many / (time.monotonic() - began)
    report["queue_per_second"] = round(plain)
    new = Measured("newcomer", since=True)
    speaker = context.Process(target=speak, args=(url, MOST_SECONDS))
    speaker.start()
    await asyncio.sleep(3)
    began = time.monotonic()
    async with new.running(url, folder) as worker:
        await new.heard(many)
        took = time.monotonic() - began
        late = new.late[LIVE_PER_SECOND:]  # without the first second
        while not worker.backfills.idle:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(0.05)
        report["seconds until live"] = round(time.monotonic() - began, 1)
    speaker.kill()
    report |= {"backfill_per_second": round(many / took), "live beside": percentiles(late)}
    return report


def main() -> None:
    """Measure and say how it stands to what is to be reached."""
    many = max(2000, int(EVENTS_OF_HISTORY * float(os.environ.get("SCALE", "1"))))
    with tempfile.TemporaryDirectory(prefix="hocket-bench-") as folder, RabbitNode(Path(folder) / "broker") as node:
        report = asyncio.run(measure(node.add_vhost("history"), Path(folder), many))
    print(json.dumps(report, indent=1))
    rate = report["backfill_per_second"] / report["queue_per_second"]  # type: ignore[operator]
    live = report["live beside"]["p50_ms"] / report["live alone"]["p50_ms"]  # type: ignore[index]
    print(f"rate beside a queue {rate:.2f}, at least {LEAST_RATE}")
    print(f"latency of live events beside alone {live:.2f}, at most {MOST_LATENCY}")
