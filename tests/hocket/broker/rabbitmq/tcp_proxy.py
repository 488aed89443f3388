"""A wire between a client and the broker that a test can cut, hold still, silence, or let answer nothing."""

import asyncio
import contextlib
from typing import Self

#: Bytes taken at once.
PORTION = 65536


class Wire:
    """Listens on a port of loopback and passes everything on to `port`; the faults are the test's."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers = asyncio.Event()
        self._answers.set()
        self._silent = False
        #: Where clients connect.
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._answers.set()
        await self.down()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def up(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Cut, and let nobody in."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Break every connection, as a lost network does."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.sleep(0)

    def withhold(self, on: bool) -> None:
        """Pass on what the client sends, and no answer."""
        if on:
            self._answers.clear()
        else:
            self._answers.set()

    def silence(self, on: bool) -> None:
        """Swallow every byte of both sides, as a network does that lost its way: nobody is told."""
        self._silent = on

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(asyncio.current_task())
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        if writer not in self._writers:
            # Cut while it was connecting.
            there_writer.transport.abort()
            return
        self._writers.add(there_writer)
        self._keep(asyncio.create_task(self._pass(reader, there_writer, False)))
        self._keep(asyncio.create_task(self._pass(there_reader, writer, True)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while portion := await reader.read(PORTION):
                if answers:
                    await self._answers.wait()
                if not self._silent:
                    writer.write(portion)
                    await writer.drain()
        writer.close()
        self._writers.discard(writer)
