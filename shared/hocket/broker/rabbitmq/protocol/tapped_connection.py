"""The client's connection with our frame reader and our write queue in it."""

import asyncio
from typing import Any

import aio_pika
from aio_pika.abc import TimeoutType, UnderlayConnection
from aiormq.abc import AbstractConnection
from aiormq.connection import Connection as ClientConnection
from aiormq.connection import FrameReceiver
from yarl import URL

from hocket.broker.rabbitmq.protocol.frame_reader import FrameReader
from hocket.broker.rabbitmq.protocol.write_queue import WriteQueue


class _TappedClientConnection(ClientConnection):
    """aiormq's connection; reads by `FrameReader` once it is open, and writes from `WriteQueue`."""

    def __init__(self, url: URL, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self.write_queue = WriteQueue()

    async def _Connection__reader(self, frame_receiver: FrameReceiver) -> None:  # noqa: N802 -- the client's private name
        read = super()._Connection__reader  # type: ignore[misc]  # typed as absent because it is private
        await read(FrameReader(frame_receiver.reader, self._tap_of, self._on_data))

    def _tap_of(self, channel: int) -> object:
        return getattr(self.channels.get(channel), "frames", None)

    def _on_data(self) -> None:
        self._Connection__last_frame_time = self.loop.time()  # the client's heartbeat check reads this


class _TappedUnderlay(UnderlayConnection):
    @classmethod
    async def make_connection(cls, url: URL, timeout: TimeoutType = None, **kwargs: Any) -> AbstractConnection:
        """Open a tapped connection where aio-pika would open a plain one."""
        properties = kwargs.pop("client_properties", None)
        connection = _TappedClientConnection(url, **kwargs)
        await asyncio.wait_for(connection.connect(properties), timeout)
        await connection.ready()
        return connection


class TappedConnection(aio_pika.Connection):
    """aio-pika's plain connection over the tapped one."""

    async def connect(self, timeout: TimeoutType = None) -> None:
        """Connect, as aio-pika's own method does."""
        self.transport = await _TappedUnderlay.connect(
            self.url, self._on_connection_close, timeout=timeout, **self.kwargs
        )
        await self._on_connected()


def is_blocked(connection: AbstractConnection) -> bool:
    """Whether the broker has said that it accepts no publishes now (`connection.blocked`)."""
    unblocked: asyncio.Event = connection._Connection__connection_unblocked  # type: ignore[attr-defined]  # noqa: SLF001
    return not unblocked.is_set()
