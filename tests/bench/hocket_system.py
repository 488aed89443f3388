"""hocket with everything on: envelope, inbox, outbox, receipts, metrics; as `hocket run` puts it together."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from hocket import Service
from hocket.assembly import Assembly, StartedService, process_memory
from hocket.broker.port import Message, Published
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import RECEIPTS, kit
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.delivery.intake import ADMIT_BATCH
from hocket.envelope import CONTENT_TYPE
from hocket.envelope.ids import Ids
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.setting_groups import MAX_EVENT_BYTES
from hocket.telemetry import logs
from hocket.telemetry.signals import Signals
from tests.bench.event import ROUTING_KEY, bodies, order
from tests.bench.measured_process import Sink, Task, Watch, pipelined, result, steady, told
from tests.bench.services import consuming, first, saying, second, stepping, third

#: Seconds between two looks whether everything is committed and settled.
LOOK = 0.001
#: Seconds within which a service must be ready.
READY_SECONDS = 30.0


@asynccontextmanager
async def running(service: Service[Any], task: Task) -> AsyncIterator[StartedService]:
    """The service at work in this process."""
    logs.configure("WARNING")
    process_memory.fix_mmap_threshold()
    assembly = Assembly(Config(broker_url=task.amqp, database_url=task.database, http_port=0))
    part = await assembly.start(service, 0)
    process_memory.freeze_objects()
    try:
        yield part
    finally:
        await assembly.close()


async def ready(part: StartedService) -> None:
    """Wait until it is ready."""
    async with asyncio.timeout(READY_SECONDS):
        while part.worker.health():  # noqa: ASYNC110 -- readiness is asked for, as a probe asks
            await asyncio.sleep(LOOK)


async def settled(part: StartedService) -> None:
    """Wait until nothing is in hand that is not committed and settled."""
    while not all(lane.idle() for lane in part.worker.runners.values()):  # noqa: ASYNC110 -- looks from outside
        await asyncio.sleep(LOOK)


async def consume(task: Task) -> None:
    """`count` events from full queues, from the first handler's run to the last commit and ack."""
    await _consume(task, step=False)


async def consume_step(task: Task) -> None:
    """The same where the handler is a step."""
    await _consume(task, step=True)


async def _consume(task: Task, *, step: bool) -> None:
    watch, got, done = Watch(), 0, asyncio.Event()

    def arrived(_: int) -> None:
        nonlocal got
        if not got:
            watch.start()
        got += 1
        if got == task.count:
            done.set()

    service = stepping(arrived) if step else consuming(arrived, task.subscriptions)
    await told()
    async with running(service, task) as part:
        await done.wait()
        await settled(part)
        watch.stop()
        # What was taken from the broker before the first run began is not counted.
        result(task.count - ADMIT_BATCH, watch)


async def publish(task: Task) -> None:
    """`count` events made and published as the relay does, `window` in flight, each confirmed; without a database."""
    clock, transport = SystemClock(), RabbitTransport(task.amqp, "orders")
    builder = OutboxBuilder("orders", Ids(clock, random.SystemRandom()), clock, Signals(), MAX_EVENT_BYTES)
    allowed = saying().declarations.says
    await transport.open()
    await transport.until_ready()
    config = Config.model_construct()
    batch = max(1, min(config.outbox_batch, task.window // config.outbox_senders))
    numbers = 0

    async def one() -> None:
        nonlocal numbers
        said = [order(numbers + n) for n in range(batch)]
        numbers += batch
        rows = builder.rows(said, Causation(None, "orders", builder.ids.uuid7()), allowed)
        await transport.publish([row.message for row in rows])

    await pipelined(max(1, min(200, task.count) // batch), max(1, task.window // batch), one)
    await told()
    watch = Watch()
    watch.start()
    await pipelined(task.count // batch, max(1, task.window // batch), one)
    watch.stop()
    result(task.count // batch * batch, watch)
    await transport.close()


async def publish_fleet(task: Task) -> None:
    """`count` events, published one at a time by each of `window` connections."""
    clock = SystemClock()
    builder = OutboxBuilder("orders", Ids(clock, random.SystemRandom()), clock, Signals(), MAX_EVENT_BYTES)
    allowed = saying().declarations.says
    fleet = [RabbitTransport(task.amqp, f"orders {number}") for number in range(task.window)]
    for transport in fleet:
        await transport.open()
        await transport.until_ready()

    async def each(transport: RabbitTransport, first: int) -> None:
        for number in range(first, task.count, task.window):
            [row] = builder.rows([order(number)], Causation(None, "orders", builder.ids.uuid7()), allowed)
            await transport.publish([row.message])

    await told()
    watch = Watch()
    watch.start()
    await asyncio.gather(*(each(transport, number) for number, transport in enumerate(fleet)))
    watch.stop()
    result(task.count, watch)
    for transport in fleet:
        await transport.close()


async def declare_again(task: Task) -> None:
    """One service with one subscription declares its topology `count` times."""
    transport = RabbitTransport(task.amqp, "bench")
    topology = kit() + consuming(lambda _: None).declarations.topology()
    await transport.open()
    await transport.until_ready()
    await told()
    watch = Watch()
    watch.start()
    for _ in range(task.count):
        await transport.declare(topology)
    watch.stop()
    result(task.count, watch)
    await transport.close()


async def receipts(task: Task) -> None:
    """One service that hears `rate` events a second: facts in a message as its receipts leave."""
    count, facts, done = 0, 0, asyncio.Event()

    async with running(consuming(lambda _: None), task) as part:
        await ready(part)
        publish = part.worker.runtime.transport.publish

        async def counted(messages: Sequence[Message]) -> list[Published]:
            nonlocal count, facts
            for message in messages:
                found = json.loads(message.body) if message.exchange == RECEIPTS else []
                ended = sum(fact["kind"] == "receipt" for fact in found)
                count, facts = count + bool(ended), facts + ended
            if facts >= task.count:
                done.set()
            return await publish(messages)

        part.worker.runtime.transport.publish = counted  # type: ignore[method-assign]  # what leaves, as it leaves
        await told()
        numbered = bodies(task.count)
        source = RabbitTransport(task.amqp, "source")
        await source.open()
        await source.until_ready()

        async def one() -> None:
            message = Message("hocket.events", ROUTING_KEY, next(numbered), CONTENT_TYPE)
            await source.publish([message])

        await steady(task, one)
        async with asyncio.timeout(READY_SECONDS):
            await done.wait()
        await source.close()
        result(task.count, Watch(), facts_a_message=facts / count)


async def publish_outbox(task: Task) -> None:
    """`count` events said in transactions of their own, 256 at once, until the broker has confirmed the last."""
    service = saying()
    async with running(service, task) as part:
        await ready(part)
        number = 0

        async def one() -> None:
            nonlocal number
            number += 1
            async with service.tx() as tx:
                tx.say(order(number))

        await pipelined(200, task.window, one)
        await part.worker.relay.drained(READY_SECONDS)
        await told()
        watch = Watch()
        watch.start()
        await pipelined(task.count, task.window, one)
        await part.worker.relay.drained(READY_SECONDS)
        watch.stop()
        result(task.count, watch)


async def send(task: Task) -> None:
    """A steady rate, each event said in a transaction of its own."""
    service = saying()
    async with running(service, task) as part:
        await ready(part)
        await told()
        watch, number = Watch(), 0
        watch.start()

        async def one() -> None:
            nonlocal number
            number += 1
            async with service.tx() as tx:
                tx.say(order(number, time.monotonic_ns()))

        await steady(task, one)
        watch.stop()
        await part.worker.relay.drained(READY_SECONDS)
        result(task.count, watch)


async def stage(task: Task) -> None:
    """One service of a chain, or (`source` "bench") the only one, which measures."""
    sink = Sink(task)
    made: dict[str, Callable[[], Service[None]]] = {
        "first": first,
        "second": second,
        "third": partial(third, sink.arrived),
    }
    service = consuming(sink.arrived) if task.source == "bench" else made[task.source]()
    async with running(service, task) as part:
        await ready(part)
        await told()
        await sink.done.wait()
        await settled(part)
        sink.report()


async def idle(task: Task) -> None:
    """One service that waits; the driver looks at its memory."""
    async with running(consuming(lambda _: None), task) as part:
        await ready(part)
        await asyncio.sleep(1)
        await told()
        result(1, Watch())
