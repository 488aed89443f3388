"""Removes a queue over AMQP, where it is certain that nobody hears it and nothing waits in it."""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from aiormq.abc import AbstractChannel as Wire

from hocket.broker.rabbitmq.address import Address
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, asked, missing
from hocket.errors import ConfigError, TransportError

T = TypeVar("T")

#: Seconds for the connection, and for one answer on it.
CONNECT_SECONDS = 20.0
ANSWER_SECONDS = 20.0

_WAYS_OUT = (
    'start the version that has it, or name it by formerly="…" in another handler, until it is empty; or purge it'
)


class Remover:
    """A connection that is made when it is first needed; `ConfigError` where the broker cannot be asked."""

    def __init__(self, nodes: Sequence[Address]) -> None:
        self._nodes = nodes
        self._line: LastingConnection | None = None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._line is not None:
            await self._line.stop()

    async def heard(self, queue: str) -> str:
        """The sentence that says who hears this queue; none: nobody does, or it is gone."""
        counts = await self._asked(self._counts(queue))
        return _heard(counts[1]) if counts is not None and counts[1] else ""

    async def remove(self, queue: str, unsettled: int) -> str:
        """Delete it; else the sentence why it stays. `unsettled` were handed over by it, says the management API."""
        return await self._asked(self._remove(queue, unsettled))

    async def _remove(self, queue: str, unsettled: int) -> str:
        counts = await self._counts(queue)
        if counts is None:
            return ""
        messages, consumers = counts
        if consumers:
            return _heard(consumers)
        if messages + unsettled:
            return f"it still holds messages ({messages + unsettled}), which stay: {_WAYS_OUT}"
        channel = await self._channel()
        # A count of 0 is also what a queue without a leader says; only a queue that works says that there is nothing.
        got = await asked(channel.basic_get(queue), ANSWER_SECONDS)
        if got.delivery_tag is not None:
            await asked(channel.close(), ANSWER_SECONDS)  # it goes back
            return f"it still holds messages, which stay: {_WAYS_OUT}"
        await asked(channel.queue_delete(queue), ANSWER_SECONDS)
        await asked(channel.close(), ANSWER_SECONDS)
        return ""

    async def _counts(self, queue: str) -> tuple[int, int] | None:
        """(messages that wait, consumers); None where the queue is gone."""
        channel = await self._channel()
        try:
            counts = await asked(channel.queue_declare(queue=queue, passive=True), ANSWER_SECONDS)
        except Refused as refused:
            if missing(refused):
                return None
            raise
        await asked(channel.close(), ANSWER_SECONDS)
        return counts.message_count or 0, counts.consumer_count or 0

    async def _channel(self) -> Wire:
        if self._line is None:
            self._line = LastingConnection(self._nodes, "hocket topology", random.Random(), _nothing, lambda: None)
            self._line.start()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                session = await self._line.connected()
        except TimeoutError:
            raise TransportError(self._line.reason) from None
        return await session.channel(confirms=False)

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except (Broken, Refused, TransportError) as failed:
            where = ", ".join(node.where for node in self._nodes)
            raise ConfigError(
                f"the broker at {where} cannot be asked about a queue ({failed}): nothing more is removed; "
                "see to that, then prune again"
            ) from failed


async def _nothing(_: OpenConnection) -> None:
    """Nothing is to be done when the line comes up."""


def _heard(consumers: int) -> str:
    return f"it has consumers ({consumers}) and stays as it is: an older version is at work; stop that first"
