"""Two replicas on one PostgreSQL and one RabbitMQ: what one of them has in hand is not missing to the other."""

import asyncio
from typing import Any
from uuid import uuid4

from deploy.database.server import PostgresServer
from hocket import Event, Heard, Service, Tx
from hocket.assembly import Assembly
from hocket.config import Config

PATIENCE = 120.0
#: Longer than an event may take to come into the inbox before it is looked for, and than some looks after that.
LONG_SECONDS = 8.0


class Begun(Event, type="slow.begun", subject="slow/{name}"):
    """Something that takes long."""

    name: str


class BegunHeard(Heard, type="slow.begun"):
    """The same, as it is heard."""

    name: str


def replica(runs: list[str]) -> Service[Any]:
    """The service as one replica runs it."""
    slow = Service("slow", owner="team-slow")
    slow.says(Begun)

    @slow.handler
    async def work(event: BegunHeard, tx: Tx) -> None:
        runs.append(event.name)
        await asyncio.sleep(LONG_SECONDS)

    return slow


async def test_what_another_replica_has_in_hand_is_not_taken_from_the_log(
    postgres: PostgresServer, broker_url: str
) -> None:
    """RULES 4.8: a handler that takes long runs once, and its neighbour stays ready."""
    url = postgres.add_database(f"slow_{uuid4().hex}")
    config = Config().model_copy(update={"broker_url": broker_url, "database_url": url})
    runs, reasons = list[str](), set[str]()
    assemblies = [Assembly(config), Assembly(config)]
    async with asyncio.timeout(PATIENCE):
        services = [replica(runs) for _ in assemblies]
        try:
            workers = [(await each.start(made, 0)).worker for each, made in zip(assemblies, services, strict=True)]
            while any(worker.health() for worker in workers):  # noqa: ASYNC110 -- no moment to wait for
                await asyncio.sleep(0.05)
            async with services[0].tx() as tx:
                tx.say(Begun(name="a"))
            while not runs:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.05)
            end = asyncio.get_running_loop().time() + LONG_SECONDS
            while asyncio.get_running_loop().time() < end:
                reasons.update(reason for worker in workers for reason in worker.health())
                await asyncio.sleep(0.1)
        finally:
            for each in assemblies:
                await each.close()
    assert runs == ["a"]
    assert reasons == set()
