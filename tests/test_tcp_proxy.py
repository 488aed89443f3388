"""The proxy of the tests forwards, cuts, refuses, delays, freezes, silences and withholds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.tcp_proxy import TcpProxy

#: Seconds within which what passes has passed, and in which what is frozen has not.
PATIENCE, GLIMPSE = 10.0, 0.2


async def gone(writer: asyncio.StreamWriter) -> None:
    """Close, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def echo() -> AsyncIterator[TcpProxy]:
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
    proxy = TcpProxy(server.sockets[0].getsockname()[1])
    await proxy.up()
    yield proxy
    await proxy.stop()
    await asyncio.gather(*answering, return_exceptions=True)
    server.close()


async def test_everything_passes_until_it_is_cut(echo: TcpProxy) -> None:
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


async def test_what_is_frozen_waits(echo: TcpProxy) -> None:
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


async def test_what_is_delayed_comes_late(echo: TcpProxy) -> None:
    """Each chunk takes at least the delay, there and back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.delay(0.1)
    began = asyncio.get_running_loop().time()
    writer.write(b"hello")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(5) == b"hello"
    assert asyncio.get_running_loop().time() - began >= 0.2
    await gone(writer)


async def test_what_is_silenced_is_lost(echo: TcpProxy) -> None:
    """Silenced bytes never arrive, the connection lives on, and later bytes pass."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.silence(True)
    writer.write(b"lost")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GLIMPSE):
            await reader.readexactly(1)
    echo.silence(False)
    writer.write(b"hello")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(5) == b"hello"
    await gone(writer)


async def test_withheld_answers_arrive_later(echo: TcpProxy) -> None:
    """Requests reach the server while answers are withheld; afterwards the answers arrive."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    echo.withhold(True)
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GLIMPSE):
            await reader.readexactly(1)
    echo.withhold(False)
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(5) == b"hello"
    await gone(writer)


async def test_down_refuses_until_it_is_up_on_the_same_port(echo: TcpProxy) -> None:
    """While it is down nobody can connect; up again it listens where it did before."""
    port = echo.port
    echo.down()
    with pytest.raises(OSError):  # noqa: PT011 -- which of its kinds depends on the system
        await asyncio.open_connection("127.0.0.1", port)
    await echo.up()
    assert echo.port == port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await gone(writer)
