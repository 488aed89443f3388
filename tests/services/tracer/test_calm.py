"""False calm: what the tracer does not hear is said first; with a frozen service and a frozen broker."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.broker.node import RabbitNode
from hocket.assembly import Assembly
from hocket.config import Config
from services.tracer import tracer

#: Seconds in which what is waited for must come: three heartbeats, on a busy machine.
PATIENCE = 120.0
#: The process of a service that only sends heartbeats.
SERVICE = """
import asyncio
from hocket import Service
from hocket.assembly import Assembly
from hocket.config import Config
stock = Service("stock", owner="team-stock")
async def main():
    assembly = Assembly(Config(broker_url={broker!r}, database_url="sqlite:///{folder}/stock.db"))
    await assembly.start(stock, 0)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
async def overview(tmp_path: Path, broker_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """The tracer on RabbitMQ, over HTTP."""
    assembly = Assembly(Config(broker_url=broker_url, database_url=f"sqlite:///{tmp_path}/{{service}}.db"))
    try:
        port = (await assembly.start(tracer, 0)).web.port
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await assembly.close()


async def until(http: aiohttp.ClientSession, word: str, *, there: bool = True) -> str:
    """Wait until the overview's first line holds this, or no longer; the line."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.get("/") as answer:
                line = (await answer.text()).partition("<h1>")[2].partition("</h1>")[0]
            if (word in line) is there:
                return line
            await asyncio.sleep(0.5)


async def test_what_stands_still_is_said(
    overview: aiohttp.ClientSession, rabbitmq: RabbitNode, broker_url: str, tmp_path: Path
) -> None:
    """RULES 7.2: a service frozen for three heartbeats is named; with the broker frozen the tracer says it is deaf."""
    code = SERVICE.format(broker=broker_url, folder=tmp_path)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                async with overview.get("/") as answer:
                    if "team-stock" in await answer.text():
                        break
                await asyncio.sleep(0.5)
        child.send_signal(signal.SIGSTOP)
        await until(overview, "stock has not been heard since")
        child.send_signal(signal.SIGCONT)
        await until(overview, "stock has not been heard since", there=False)
        os.killpg(rabbitmq.pid, signal.SIGSTOP)
        try:
            assert "what follows is how it stood then" in await until(overview, "The tracer has heard nothing since")
        finally:
            os.killpg(rabbitmq.pid, signal.SIGCONT)
        await until(overview, "The tracer", there=False)
    finally:
        child.kill()
        await child.wait()
