"""A TCP proxy on loopback, for tests: it can cut, refuse, delay, freeze, silence, or withhold the server's answers."""

import asyncio
import contextlib
from typing import Self

#: Most bytes of one read.
READ_BYTES = 64 * 1024


class TcpProxy:
    """Listens on a port of its own and forwards every connection to `target`; an async context manager."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._delay = 0.0
        self._silent = False
        self._flows, self._answers = asyncio.Event(), asyncio.Event()
        self._flows.set()
        self._answers.set()
        #: Where clients connect; the same after `down` and `up`.
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def up(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Cut every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def stop(self) -> None:
        """End everything."""
        self.heal()
        self.down()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection at once, as a lost network does; new ones are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def delay(self, seconds: float) -> None:
        """From now on, forward everything later by this much."""
        self._delay = seconds

    def freeze(self) -> None:
        """From now on, forward nothing and end no connection; what arrives is kept."""
        self._flows.clear()

    def withhold(self, on: bool) -> None:
        """Forward what clients send, and keep the answers until off."""
        if on:
            self._answers.clear()
        else:
            self._answers.set()

    def silence(self, on: bool) -> None:
        """Drop every byte of both sides, without ending a connection."""
        self._silent = on

    def heal(self) -> None:
        """Forward everything again at once."""
        self._delay, self._silent = 0.0, False
        self._flows.set()
        self._answers.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(requests)
        if writer.transport.is_closing():  # cut while it was connecting
            requests.transport.abort()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, requests))
                both.create_task(self._pump(answers, writer, self._answers))
        finally:
            for each in (writer, requests):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None = None
    ) -> None:
        """Forward until one end is closed; then close the other after what was already read."""
        try:
            with contextlib.suppress(OSError):
                while received := await reader.read(READ_BYTES):
                    if self._delay:
                        await asyncio.sleep(self._delay)
                    await self._flows.wait()
                    if gate is not None:
                        await gate.wait()
                    if not self._silent:
                        writer.write(received)
                        await writer.drain()
        finally:
            writer.close()
