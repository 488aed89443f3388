"""Doubles: events that were said once and travel twice, as any publisher that repeats itself makes them."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from deploy.demo.place import StepFailed
from hocket.broker.port import Consumer, Delivery, Message, Transport, Verdict
from hocket.broker.topology import EVENTS, LOG, routing_key

#: Deliveries of the log that may be on their way.
PREFETCH = 100
#: Seconds without a further delivery after which the log is taken to be read.
SILENCE_SECONDS = 2.0
TYPE = "order.placed"


async def double(transport: Transport, order_ids: Iterable[str], count: int) -> int:
    """Publish raw copies, same id and source, of the events that placed these orders; at most `count`, tells how many.

    `StepFailed` where the broker does not take them.
    """
    wanted = {f"order/{order_id}" for order_id in order_ids}
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    consumer = await transport.consume(LOG, prefetch=PREFETCH, deliver=arrived.put_nowait, offset=None)
    try:
        found = await _matching(consumer, arrived, wanted, count)
    finally:
        await consumer.cancel()
        await consumer.close()
    copies = [Message(EVENTS, routing_key(TYPE, 1), each.body, each.content_type) for each in found]
    refused = [answer for answer in await transport.publish(copies) if answer.verdict is not Verdict.CONFIRMED]
    if refused:
        raise StepFailed(f"The step 'publish doubles' failed: {refused[0].verdict}, {refused[0].reason}.")
    return len(copies)


async def _matching(
    consumer: Consumer, arrived: asyncio.Queue[Delivery], wanted: set[str], count: int
) -> list[Delivery]:
    found: list[Delivery] = []
    while len(found) < count and wanted:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                delivery = await arrived.get()
        except TimeoutError:
            break
        consumer.ack([delivery.handle])
        event: dict[str, Any] = json.loads(delivery.body)
        if event.get("type") == TYPE and event.get("subject") in wanted:
            wanted.discard(event["subject"])
            found.append(delivery)
    return found
