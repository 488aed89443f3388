"""Removes a queue over AMQP, after checking that it has no consumer and no message."""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from aiormq.abc import AbstractChannel

from hocket.broker.rabbitmq.address import Address
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, client_call, missing
from hocket.errors import ConfigError, TransportError

T = TypeVar("T")

#: Seconds for the connection, and for one answer on it.
CONNECT_SECONDS = 20.0
ANSWER_SECONDS = 20.0

_HOW_TO_EMPTY = (
    'start the version that declares it, or name it by formerly="…" in another handler, until it is empty; or purge it'
)


class Remover:
    """Checks and deletes queues, over a connection opened when first needed; `ConfigError` where that fails."""

    def __init__(self, nodes: Sequence[Address]) -> None:
        self._nodes = nodes
        self._connection: LastingConnection | None = None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.stop()

    async def in_use(self, queue: str) -> str:
        """A sentence that says that the queue has consumers; "" if it has none, or is gone."""
        counts = await self._or_config_error(self._counts(queue))
        return _has_consumers(counts[1]) if counts is not None and counts[1] else ""

    async def remove(self, queue: str, unsettled: int) -> str:
        """Delete it; returns "", or a sentence that says why it is kept. `unsettled` counts unacknowledged messages."""
        return await self._or_config_error(self._remove(queue, unsettled))

    async def _remove(self, queue: str, unsettled: int) -> str:
        counts = await self._counts(queue)
        if counts is None:
            return ""
        messages, consumers = counts
        if consumers:
            return _has_consumers(consumers)
        if messages + unsettled:
            return f"it still holds messages ({messages + unsettled}), which are kept: {_HOW_TO_EMPTY}"
        channel = await self._channel()
        # A queue without a leader reports 0 messages too; only a working queue answers that it is empty.
        got = await client_call(channel.basic_get(queue), ANSWER_SECONDS)
        if got.delivery_tag is not None:
            await client_call(channel.close(), ANSWER_SECONDS)  # the message returns to the queue
            return f"it still holds messages, which are kept: {_HOW_TO_EMPTY}"
        await client_call(channel.queue_delete(queue), ANSWER_SECONDS)
        await client_call(channel.close(), ANSWER_SECONDS)
        return ""

    async def _counts(self, queue: str) -> tuple[int, int] | None:
        """(waiting messages, consumers); None where the queue is gone."""
        channel = await self._channel()
        try:
            counts = await client_call(channel.queue_declare(queue=queue, passive=True), ANSWER_SECONDS)
        except Refused as refused:
            if missing(refused):
                return None
            raise
        await client_call(channel.close(), ANSWER_SECONDS)
        return counts.message_count or 0, counts.consumer_count or 0

    async def _channel(self) -> AbstractChannel:
        if self._connection is None:
            self._connection = LastingConnection(
                self._nodes, "hocket topology", random.Random(), _no_setup, lambda: None
            )
            self._connection.start()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                session = await self._connection.connected()
        except TimeoutError:
            raise TransportError(self._connection.reason) from None
        return await session.channel(confirms=False)

    async def _or_config_error(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except (Broken, Refused, TransportError) as failed:
            where = ", ".join(node.where for node in self._nodes)
            raise ConfigError(
                f"the broker at {where} cannot be asked about a queue ({failed}): nothing more is removed; "
                "resolve that, then prune again"
            ) from failed


async def _no_setup(_: OpenConnection) -> None:
    """Nothing has to be set up on this connection."""


def _has_consumers(consumers: int) -> str:
    return f"it has consumers ({consumers}) and is kept: an older version is running; stop that first"
