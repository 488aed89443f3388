"""faststream-outbox on PostgreSQL, tuned: one transaction an event, 32 at once, the relay at work meanwhile."""

import asyncio
import importlib
from typing import Any

import aio_pika
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from tests.bench.event import as_json, peers_event
from tests.bench.measured_process import Task, Watch, pipelined, result, told

rabbit: Any = importlib.import_module("faststream.rabbit")
outbox: Any = importlib.import_module("faststream_outbox")

#: Its settings for throughput, and writers at once.
TUNED = {"max_workers": 32, "fetch_batch_size": 256, "terminal_flush_batch_size": 64}
WRITERS = 32


async def _depth(channel: aio_pika.abc.AbstractChannel, queue: str) -> int:
    return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0


async def publish(task: Task) -> None:
    """`count` events, from the first transaction until the queue holds the last."""
    metadata = MetaData()
    table = outbox.make_outbox_table(metadata, table_name="peer_outbox")
    engine = create_async_engine(task.database.replace("postgresql:", "postgresql+asyncpg:"), pool_size=40)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    source, broker = outbox.OutboxBroker(engine, outbox_table=table), rabbit.RabbitBroker(task.amqp, logger=None)

    async def relay(body: dict[str, object]) -> dict[str, object]:
        return body

    subscribed = source.subscriber("peer", min_fetch_interval=0.01, max_fetch_interval=0.5, **TUNED)(relay)
    broker.publisher(rabbit.RabbitQueue(task.queue, declare=False), persist=True)(subscribed)
    sessions, body = async_sessionmaker(engine, expire_on_commit=False), as_json(peers_event())

    async def one() -> None:
        async with sessions() as session, session.begin():
            await source.publish(body, queue="peer", session=session)

    await broker.connect()
    await broker.start()
    await source.start()
    async with await aio_pika.connect(task.amqp) as connection_:
        channel = await connection_.channel()
        await told()
        watch = Watch()
        watch.start()
        await pipelined(task.count, WRITERS, one)
        while await _depth(channel, task.queue) < task.count:  # noqa: ASYNC110 -- the broker must be asked
            await asyncio.sleep(0.02)
        watch.stop()
        result(task.count, watch)
    await source.stop()
    await broker.stop()
    await engine.dispose()
