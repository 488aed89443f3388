"""When a run is over: every sale closed, nothing waiting in any service, nothing left on the broker."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

import aio_pika
import aiohttp

#: Seconds between two looks, looks in a row that must find nothing, and seconds without any change until one gives up.
LOOK_SECONDS = 1.0
# Longer than an event waits before a service looks for it in the log, and than a process that was killed counts as a
# replica that may have it in hand (RULES 4.8): its lease.
CALM_LOOKS = 20
GIVE_UP_SECONDS = 240.0
#: Longest rest that is waited for while something still changes, in seconds: a busy machine works slowly.
LONGEST_SECONDS = 1800.0
#: Longest one look at a service may take, in seconds.
ANSWER_SECONDS = 10.0
QUEUES = ("till.close", "bank.charge", "bank.refund", "shelf.take", "shelf.audit", "shelf.file")
WAITING = re.compile(r"^hocket_(?:outbox_waiting|in_hand)\{(.*)\} (\S+)$", re.MULTILINE)


async def drained(broker: str, ports: Mapping[str, int], sales: int) -> str:
    """Wait until nothing moves any more; "" when it came to that, else what still waited."""
    return await calm(lambda: _left(broker, ports, sales))


async def calm(look: Callable[[], Awaitable[str]], looks: int = CALM_LOOKS) -> str:
    """Wait until `look` finds nothing so many times in a row; "" when it came to that, else what it found last."""
    loop = asyncio.get_running_loop()
    began = changed = loop.time()
    found, left, before = 0, "", ""
    while found < looks:
        if left != before:
            changed, before = loop.time(), left
        if loop.time() > min(changed + GIVE_UP_SECONDS, began + LONGEST_SECONDS):
            return left or "nothing, but not for long enough"
        try:
            async with asyncio.timeout(3 * ANSWER_SECONDS):
                left = await look()
        except (aiohttp.ClientError, TimeoutError, OSError, aio_pika.exceptions.AMQPError) as error:
            left = f"an answer: {error!r}"
        found = 0 if left else found + 1
        await asyncio.sleep(LOOK_SECONDS)
    return ""


async def _left(broker: str, ports: Mapping[str, int], sales: int) -> str:
    left = await waiting(ports)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http,
        http.get(f"http://127.0.0.1:{ports['till']}/count") as answer,
    ):
        counted = await answer.json()
    if counted["closed"] < sales:
        left.append(f"{sales - counted['closed']} of {sales} sales to close")
    return "; ".join(left + await queued(broker, QUEUES))


async def waiting(ports: Mapping[str, int]) -> list[str]:
    """What waits inside the services of these ports, and which of them is not ready."""
    left: list[str] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
        for name, port in ports.items():
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
            left += [f"{name} {labels} {value}" for labels, value in WAITING.findall(text) if float(value)]
            async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                if answer.status != 200:
                    left.append(f"{name} {await answer.text()}")
    return left


async def queued(broker: str, queues: Iterable[str]) -> list[str]:
    """Which of these queues are not empty."""
    left: list[str] = []
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        for name in queues:
            queue = await channel.declare_queue(name, passive=True)
            if queue.declaration_result.message_count:
                left.append(f"{queue.declaration_result.message_count} in {name}")
    return left
