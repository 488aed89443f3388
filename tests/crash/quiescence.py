"""When a run is over: every sale closed, nothing waiting in any service, nothing left on the broker."""

import asyncio
import re
from collections.abc import Mapping

import aio_pika
import aiohttp

#: Seconds between two looks, looks in a row that must find nothing, and seconds until one gives up.
LOOK_SECONDS = 1.0
# Longer than an event waits before a service looks for it in the log, and than a process that was killed counts as a
# replica that may have it in hand (RULES 4.8): its lease.
CALM_LOOKS = 20
GIVE_UP_SECONDS = 240.0
#: Longest one look at a service may take, in seconds.
ANSWER_SECONDS = 10.0
QUEUES = ("till.close", "bank.charge", "bank.refund", "shelf.take", "shelf.audit", "shelf.file")
WAITING = re.compile(r"^hocket_(?:outbox_waiting|in_hand)\{(.*)\} (\S+)$", re.MULTILINE)


async def drained(broker: str, ports: Mapping[str, int], sales: int) -> str:
    """Wait until nothing moves any more; "" when it came to that, else what still waited."""
    loop = asyncio.get_running_loop()
    end = loop.time() + GIVE_UP_SECONDS
    calm, left = 0, ""
    while calm < CALM_LOOKS:
        if loop.time() > end:
            return left or "nothing, but not for long enough"
        try:
            async with asyncio.timeout(3 * ANSWER_SECONDS):
                left = await _left(broker, ports, sales)
        except (aiohttp.ClientError, TimeoutError, OSError, aio_pika.exceptions.AMQPError) as error:
            left = f"an answer: {error!r}"
        calm = 0 if left else calm + 1
        await asyncio.sleep(LOOK_SECONDS)
    return ""


async def _left(broker: str, ports: Mapping[str, int], sales: int) -> str:
    left: list[str] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
        for name, port in ports.items():
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
            left += [f"{name} {labels} {value}" for labels, value in WAITING.findall(text) if float(value)]
            async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                if answer.status != 200:
                    left.append(f"{name} {await answer.text()}")
        async with http.get(f"http://127.0.0.1:{ports['till']}/count") as answer:
            counted = await answer.json()
    if counted["closed"] < sales:
        left.append(f"{sales - counted['closed']} of {sales} sales to close")
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            queue = await channel.declare_queue(name, passive=True)
            if queue.declaration_result.message_count:
                left.append(f"{queue.declaration_result.message_count} in {name}")
    return "; ".join(left)
