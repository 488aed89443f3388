"""What an observer has beside a service's declarations: one writer at a time."""

import asyncio

from deploy.database.server import PostgresServer
from hocket.observe import Observer
from hocket.store.port import Store
from tests.services.databases import store_at

#: Seconds in which everything must come to its end.
PATIENCE = 30.0
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

watcher = Observer("watcher", owner="team-platform")
counter = Observer("counter", owner="team-platform")


async def somebody_waits(postgres: PostgresServer) -> None:
    """Return when a transaction waits for an advisory lock."""
    while True:
        if (await asyncio.to_thread(postgres.sql, WAITING)).strip() != "0":
            return
        await asyncio.sleep(0.01)


async def test_a_turn_lasts_until_its_transaction_ends(postgres: PostgresServer) -> None:
    """On PostgreSQL a second transaction of the service waits; another service in the same database does not."""
    order: list[str] = []
    first_began, first_may_end = asyncio.Event(), asyncio.Event()

    async def write(store: Store, observer: Observer, name: str, may_end: asyncio.Event | None = None) -> None:
        async with store.transaction() as tx:
            await observer.take_turn(await tx.db())
            order.append(f"{name} begins")
            first_began.set()
            if may_end is not None:
                await may_end.wait()
            order.append(f"{name} ends")

    async with asyncio.timeout(PATIENCE), store_at(postgres.add_database("turns"), None) as store:
        first = asyncio.create_task(write(store, watcher, "first", first_may_end))
        await first_began.wait()
        second = asyncio.create_task(write(store, watcher, "second"))
        await somebody_waits(postgres)
        await write(store, counter, "other")
        first_may_end.set()
        await asyncio.gather(first, second)
    assert order == ["first begins", "other begins", "other ends", "first ends", "second begins", "second ends"]
