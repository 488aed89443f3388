"""The starter of a chain: a number of flows open at once; a byte from the last service opens the next one."""

import asyncio
import os
import time

from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from tests.bench.event import PlacedEnvelope, as_json, bodies

#: Flows open at once, unless a figure says otherwise.
OPEN_FLOWS = 256


async def start_flows(
    amqp: str, exchange: str, routing_key: str, content_type: str, count: int, ended: int, at_once: int = OPEN_FLOWS
) -> None:
    """Start `count` flows; `ended` is a pipe with a byte for each that has ended. The same client for all systems."""
    transport, free = RabbitTransport(amqp, "starter"), asyncio.Semaphore(at_once)
    await transport.open()
    await transport.until_ready()
    loop = asyncio.get_running_loop()

    def one_ended() -> None:
        for _ in os.read(ended, 65536):
            free.release()

    loop.add_reader(ended, one_ended)
    try:
        async with asyncio.TaskGroup() as group:
            batch: list[Message] = []
            for body in bodies(count):
                if batch and (free.locked() or len(batch) >= 64):
                    group.create_task(transport.publish(batch))
                    batch = []
                await free.acquire()
                envelope = PlacedEnvelope.model_validate_json(body)
                envelope.data.sent_ns = time.monotonic_ns()
                batch.append(Message(exchange, routing_key, as_json(envelope), content_type))
            group.create_task(transport.publish(batch))
    finally:
        loop.remove_reader(ended)
        await transport.close()
