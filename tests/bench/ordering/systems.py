"""The measured processes of ordered subscriptions."""

import asyncio
import time
from datetime import UTC, datetime

from hocket import Reject, Service, Tx
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.delivery.intake import ADMIT_BATCH
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.store.ordering.tokens import blocked as blocked_of
from tests.bench.event import TYPE, Placed, bodies, order
from tests.bench.hocket_system import ready, running, settled
from tests.bench.measured_process import Task, Watch, result, told

QUEUE = "bench.handle.ordered"
HOT = "order/hot"
#: Seconds of load before the release, and between two looks.
BEFORE, LOOK = 5.0, 0.05


def _service(arrived: "list[Placed]", poison: "set[str]") -> Service[None]:
    service = Service("bench", owner="team-bench")

    @service.handler(ordered=True)
    async def handle(placed: Placed, tx: Tx) -> None:
        if placed.order_id in poison:
            raise Reject("poison")
        arrived.append(placed)

    return service


async def consume(task: Task) -> None:
    """`count` events of as many subjects from a full queue, from the first run to the last commit and ack."""
    watch, got, done = Watch(), 0, asyncio.Event()
    service = Service("bench", owner="team-bench")

    @service.handler(ordered=True)
    async def handle(placed: Placed, tx: Tx) -> None:
        nonlocal got
        if not got:
            watch.start()
        got += 1
        if got == task.count:
            done.set()

    await told()
    async with running(service, task) as part:
        await done.wait()
        await settled(part)
        watch.stop()
        result(task.count - ADMIT_BATCH, watch)


def _hot(number: int) -> bytes:
    event = order(number).model_dump(mode="json") | {"order_id": f"hot-{number}"}
    template = Envelope(f"hot-{number}", "/orders", TYPE, 1, HOT, datetime.now(UTC), "flow", f"hot-{number}", event)
    return encode(template)


async def blocked(task: Task) -> None:
    """A subject with `count` parked behind its dead head is replayed, while others come at `rate` a second."""
    arrived: list[Placed] = []
    poison = {"hot-0"}
    transport = RabbitTransport(task.amqp, "hand")
    await transport.open()
    await transport.until_ready()
    await told()
    watch = Watch()
    async with running(_service(arrived, poison), task) as part:
        await ready(part)
        await transport.publish(
            [Message("bench", QUEUE, _hot(number), CONTENT_TYPE) for number in range(task.count + 1)]
        )
        store = part.worker.runtime.store
        while (found := (await blocked_of(store)).get("bench.handle")) is None or found.waiting < task.count:  # noqa: ASYNC110
            await asyncio.sleep(LOOK)
        load = asyncio.create_task(_load(transport, task.rate))
        await asyncio.sleep(1.0)
        begun, start = time.perf_counter(), len(arrived)
        await asyncio.sleep(BEFORE)
        before = (len(arrived) - start) / (time.perf_counter() - begun)
        poison.clear()
        watch.start()
        begun, start = time.perf_counter(), len(arrived)
        await part.worker.send("bench.handle.ordered", _hot(0), CONTENT_TYPE, replay="r", attempt=2)
        hot = 0
        while hot < task.count + 1:
            await asyncio.sleep(LOOK)
            hot = sum(each.order_id.startswith("hot-") for each in arrived)
        seconds = time.perf_counter() - begun
        beside = (len(arrived) - start - hot) / seconds / before
        load.cancel()
        order_kept = [each.order_id for each in arrived if each.order_id.startswith("hot-")]
        assert order_kept == [f"hot-{number}" for number in range(task.count + 1)], "out of order"
        watch.stop()
        result(task.count + 1, watch, release_s=seconds, beside=beside)
    await transport.close()


async def _load(transport: RabbitTransport, rate: float) -> None:
    every = bodies(1_000_000, seed=7)
    while True:
        await transport.publish([Message("bench", QUEUE, next(every), CONTENT_TYPE) for _ in range(int(rate / 20))])
        await asyncio.sleep(0.05)
