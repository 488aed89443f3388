"""A service whose every act notes the monotonic time, which is that of the whole machine: see test_clocks_jump.py.

Each stroke is told at once and again five seconds later. Odd ones fail at first and are tried again two seconds later.
"""

import asyncio
import os
import time
from datetime import timedelta

from aiohttp import web
from sqlalchemy import Column, Double, Integer, MetaData, String, Table, insert

from hocket import Event, Heard, Retry, Scheduled, Service, Tx

#: Seconds until a retry, until a reminder, that a slow handler takes and that it may take.
RETRY, REMINDER, SLOW, LIMIT = 2.0, 5.0, 5.0, 10.0

tables = MetaData()
notes = Table(
    "notes",
    tables,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("what", String, nullable=False),
    Column("n", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
)
clockwork = Service("clockwork", owner="team-tower", tables=tables)


class Struck(Event, type="clockwork.struck", subject="stroke/{n}"):
    """A stroke."""

    n: int


class Reminded(Event, type="clockwork.reminded", subject="stroke/{n}"):
    """The same, later."""

    n: int


class StruckHeard(Heard, type="clockwork.struck"):
    """A stroke as it is heard."""

    n: int


class RemindedHeard(Heard, type="clockwork.reminded"):
    """The same."""

    n: int


clockwork.says(Struck)
clockwork.says(Reminded)
retry = Retry(retries=4, first=timedelta(seconds=RETRY), factor=1.0, longest=timedelta(seconds=RETRY), jitter=False)


async def note(tx: Tx, what: str, n: int, attempt: int = 1) -> None:
    """Write down that it happened now."""
    row = insert(notes).values(what=what, n=n, attempt=attempt, at=time.monotonic())
    await (await tx.db()).execute(row)


@clockwork.handler(retry=retry)
async def hear(struck: StruckHeard, tx: Tx) -> None:
    """Note it; an odd one only at its second attempt."""
    if struck.n % 2 and tx.attempt == 1:
        raise RuntimeError("not yet")
    await note(tx, "heard", struck.n, tx.attempt)


@clockwork.handler
async def remember(reminded: RemindedHeard, tx: Tx) -> None:
    """Note it."""
    await note(tx, "reminded", reminded.n, tx.attempt)


@clockwork.handler(retry=retry, timeout=timedelta(seconds=LIMIT))
async def ponder(struck: StruckHeard, tx: Tx) -> None:
    """Take nearly as long as it may, where the test wants that."""
    await asyncio.sleep(SLOW if os.environ.get("SLOW") else 0)
    await note(tx, "pondered", struck.n, tx.attempt)


async def strike(request: web.Request) -> web.Response:
    """`POST /strokes/{n}`."""
    n = int(request.match_info["n"])
    async with clockwork.tx(key=f"stroke-{n}") as tx:
        row = insert(notes).values(what="struck", n=n, attempt=1, at=time.monotonic())
        await (await tx.db()).execute(row)
        tx.say(Struck(n=n))
        tx.say(Scheduled(Reminded(n=n), after=timedelta(seconds=REMINDER), key=str(n)))
    return web.json_response({"n": n}, status=202)


@clockwork.http
def mount(app: web.Application) -> None:
    """The one route."""
    app.router.add_post("/strokes/{n}", strike)
