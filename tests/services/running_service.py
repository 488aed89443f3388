"""One service as `hocket run` runs it, with its HTTP side, on the memory broker and a database of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from hocket import Service
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.testing.play import PSEUDONYM_KEY as KEY


@asynccontextmanager
async def serving(service: Service[Any], folder: Path, database_url: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose base is the running service; its database is a file in `folder`, or the one that is named."""
    url = database_url or f"sqlite:///{folder}/{{service}}.db"
    assembly = Assembly(Config(pseudonym_key=KEY, broker_url="memory://", database_url=url))
    part = await assembly.start(service, 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{part.web.port}") as http:
            yield http
    finally:
        await assembly.close()
