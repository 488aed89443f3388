"""Two replicas on one PostgreSQL and one RabbitMQ, and an API that dies: both leave it alone, and come back slowly."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
from aiohttp import web

from deploy.database.server import PostgresServer
from hocket import Breaker, Event, Heard, Service, Tx
from hocket.assembly import Assembly
from hocket.config import Config

PATIENCE = 120.0
ORDERS = 300
#: Seconds of an open period, and between two renewals: no period is shorter than two of them.
OPEN, RENEW = 3.0, 0.5
RAMP = 4
AFTER = 3


class Placed(Event, type="billed.placed", subject="order/{name}"):
    """An order."""

    name: str


class PlacedHeard(Heard, type="billed.placed"):
    """The same, as it is heard."""

    name: str


class Asked(NamedTuple):
    """One request: when it came, from which replica, how many were in work with it, and the answer."""

    at: float
    replica: str
    beside: int
    status: int


class Api:
    """An API on a port of its own."""

    def __init__(self) -> None:
        self.ill = False
        self.asked: list[Asked] = []
        self.url = ""
        self._now = 0

    async def charge(self, request: web.Request) -> web.Response:
        """Takes a while; 503 while it is ill."""
        self._now += 1
        status = 503 if self.ill else 200
        self.asked.append(Asked(time.monotonic(), request.headers["X-Replica"], self._now, status))
        await asyncio.sleep(0.05)
        self._now -= 1
        return web.Response(status=status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It listens."""
        app = web.Application()
        app.router.add_post("/charge", self.charge)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/charge"
        try:
            yield
        finally:
            await runner.cleanup()


def replica(name: str, api: Api, http: aiohttp.ClientSession, attempts: list[int]) -> Service[Any]:
    """The service as one replica runs it."""
    billing = Service("billing", owner="team-billing")
    billing.says(Placed)
    breaker = Breaker(
        "card-api", failures=(aiohttp.ClientError,), after=AFTER, open_for=timedelta(seconds=OPEN), ramp=RAMP
    )

    @billing.handler(breaker=breaker)
    async def charge(order: PlacedHeard, tx: Tx) -> None:
        async with tx.outside(breaker), http.post(api.url, headers={"X-Replica": name}) as answer:
            answer.raise_for_status()
        attempts.append(tx.attempt)

    return billing


async def test_both_leave_a_dying_api_alone_and_come_back_by_the_ramp(
    postgres: PostgresServer, broker_url: str
) -> None:
    """RULES 6.1, 6.3, 6.4: one probe a period by both together, then 1, 2, 4; every order is charged once."""
    url = postgres.add_database(f"breakers_{uuid4().hex}")
    config = Config().model_copy(
        update={"broker_url": broker_url, "database_url": url, "owner_renew_seconds": RENEW, "owner_lease_seconds": 5.0}
    )
    api, attempts = Api(), list[int]()
    assemblies = [Assembly(config), Assembly(config)]
    async with api.running(), aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE):
        services = [replica(name, api, http, attempts) for name in ("one", "two")]
        try:
            workers = [(await each.start(made, 0)).worker for each, made in zip(assemblies, services, strict=True)]
            while any(worker.health() for worker in workers):  # noqa: ASYNC110 -- no moment to wait for
                await asyncio.sleep(0.05)
            for number in range(ORDERS):
                async with services[0].tx() as tx:
                    tx.say(Placed(name=str(number)))
            while len({each.replica for each in api.asked}) < 2:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
            api.ill = True
            while sum(each.status == 503 for each in api.asked) < AFTER:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
            await asyncio.sleep(OPEN * 3)  # some periods, in which it must be left alone
            api.ill = False
            while len(attempts) < ORDERS:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.05)
            states = [each.state for worker in workers for each in worker.breakers.all()]
        finally:
            for each in assemblies:
                await each.close()
    _judge(api.asked)
    assert len(attempts) == ORDERS
    # What opened it was deferred, and so was every probe: only the failures before have cost an attempt each.
    assert sum(attempt - 1 for attempt in attempts) <= AFTER - 1
    assert "open" not in states


def _judge(asked: list[Asked]) -> None:
    failed = [at for at, each in enumerate(asked) if each.status == 503]
    first, last = failed[0], failed[-1]
    opened = asked[first].at
    probes = [each.at for each in asked[first:] if each.status == 503 and each.at > opened + OPEN * 0.9]
    assert 1 <= len(probes) <= 4, f"{len(probes)} probes of both together"
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert all(gap >= OPEN for gap in gaps)
    back = asked[last + 1 :]
    widths = [1, *[2] * 2, *[4] * 4]
    assert all(each.beside <= width for each, width in zip(back, widths, strict=False)), "the ramp"
