"""Finds where a stream ends, from its last chunk."""

import asyncio
from contextlib import suppress

from hocket.broker.port import LAST, Delivery, Transport
from hocket.errors import TransportError

#: Messages that the last chunk may have, and seconds without another one after which it is over. The first message of
#: a stream that counts none is given as long.
LAST_CHUNK, CHUNK_SECONDS = 2000, 0.5
#: Seconds in which a stream that holds messages must send the first of its last chunk.
ANSWER_SECONDS = 10.0


async def end_of(transport: Transport, stream: str) -> int:
    """The offset behind the last message of a stream; 0 where it shows none. Errors as `last_of`."""
    last = await last_of(transport, stream)
    return (last.offset or 0) + 1 if last is not None else 0


async def last_of(transport: Transport, stream: str) -> Delivery | None:
    """The last message of a stream; None where it shows none.

    `TransportError` where there is no such stream, or where it counts messages and sends none. The broker counts the
    messages of a stream some seconds late, from 0 after its own start: one that counts none and sends none at once may
    hold some.
    """
    depth = await transport.depth(stream)
    if depth is None:
        raise TransportError(f"stream {stream} does not exist")
    last: Delivery | None = None
    came, arrived = 0, asyncio.Event()

    def deliver(delivery: Delivery) -> None:
        nonlocal last, came
        last, came = delivery, came + 1
        arrived.set()

    consumer = await transport.consume(stream, prefetch=LAST_CHUNK, deliver=deliver, offset=LAST)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS if depth.messages else CHUNK_SECONDS):
                await arrived.wait()
        with suppress(TimeoutError):
            while 0 < came < LAST_CHUNK:  # unsettled, so no more come than the prefetch
                arrived.clear()
                async with asyncio.timeout(CHUNK_SECONDS):
                    await arrived.wait()
    finally:
        await consumer.close()
    if last is None and depth.messages:
        raise TransportError(f"stream {stream} holds messages and has sent none in {ANSWER_SECONDS:g} s")
    return last
