"""A TCP proxy that can cut, delay and freeze what passes through it."""

import asyncio
import contextlib

#: Bytes read at once.
CHUNK = 64 * 1024


class Proxy:
    """Listens on a port of loopback of its own and passes everything on to another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._delay = 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End everything."""
        assert self._server is not None
        self._server.close()
        self.heal()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection at once, without a word; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    def delay(self, seconds: float) -> None:
        """From now on every chunk comes later by this."""
        self._delay = seconds

    def freeze(self) -> None:
        """From now on nothing passes, and no connection ends."""
        self._flows.clear()

    def heal(self) -> None:
        """Everything passes again at once."""
        self._delay = 0.0
        self._flows.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(ours)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, ours))
                both.create_task(self._pump(theirs, writer))
        finally:
            for each in (writer, ours):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one end is gone; then the other is closed behind what was already read."""
        try:
            with contextlib.suppress(OSError):
                while chunk := await reader.read(CHUNK):
                    if self._delay:
                        await asyncio.sleep(self._delay)
                    await self._flows.wait()
                    writer.write(chunk)
                    await writer.drain()
        finally:
            writer.close()
