"""Finds the first message that a stream gives from a place on."""

import asyncio
from contextlib import suppress

from hocket.broker.port import Delivery, Start, Transport
from hocket.errors import TransportError
from hocket.streams.end import ANSWER_SECONDS, CHUNK_SECONDS


async def first_of(transport: Transport, stream: str, start: Start | None = None) -> Delivery | None:
    """The first message from `start` on (None: the first that is kept); None where none comes.

    `TransportError` where there is no such stream, or where it counts messages, is asked for its first one and sends
    none.
    """
    depth = await transport.depth(stream)
    if depth is None:
        raise TransportError(f"stream {stream} does not exist")
    came: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def deliver(delivery: Delivery) -> None:
        if not came.done():
            came.set_result(delivery)

    consumer = await transport.consume(stream, prefetch=1, deliver=deliver, offset=start)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS if depth.messages else CHUNK_SECONDS):
                return await came
    finally:
        await consumer.close()
    if start is None and depth.messages:
        raise TransportError(f"stream {stream} holds messages and has sent none in {ANSWER_SECONDS:g} s")
    return None
