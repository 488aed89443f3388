"""The proxy of the crash run passes on, cuts, delays and freezes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.crash.proxy import Proxy

#: Seconds within which what passes has passed, and in which what is frozen has not.
PATIENCE, GLIMPSE = 10.0, 0.2


async def gone(writer: asyncio.StreamWriter) -> None:
    """Close, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def echo() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""

    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()
        await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.get_running_loop().create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    await proxy.start()
    yield proxy
    await proxy.stop()
    await asyncio.gather(*answering, return_exceptions=True)
    server.close()


async def test_everything_passes_until_it_is_cut(echo: Proxy) -> None:
    """Bytes go both ways; a cut ends the connection, and the next one works."""
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
        writer.write(b"hello")
        async with asyncio.timeout(PATIENCE):
            assert await reader.readexactly(5) == b"hello"
            echo.cut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        await gone(writer)


async def test_what_is_frozen_waits(echo: Proxy) -> None:
    """Nothing passes and nothing ends while it is frozen; healed, everything arrives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.freeze()
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GLIMPSE):
            await reader.readexactly(5)
    echo.heal()
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(5) == b"hello"
    await gone(writer)


async def test_what_is_delayed_comes_late(echo: Proxy) -> None:
    """Each chunk takes at least the delay, there and back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.delay(0.1)
    began = asyncio.get_running_loop().time()
    writer.write(b"hello")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(5) == b"hello"
    assert asyncio.get_running_loop().time() - began >= 0.2
    await gone(writer)
