"""Many replicas on one PostgreSQL database: owners, leases, no deadlock, one winner (RULES 3.1, 3.3, 4.1)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

from deploy.database.server import PostgresServer
from hocket.errors import ConfigError
from hocket.saga import LedgerState
from hocket.setting_groups import PostgresSettings
from hocket.store.records import Ending, RowKind
from hocket.testing.store_contract.fixtures import (
    TABLES,
    ending,
    key_of,
    ledger_row,
    near,
    outbox_row,
    routing,
    undated,
    written,
)
from tests.hocket.store.migrations.earlier_ledger import TO_POSTGRES
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas, insist

#: Seconds of a lease that is meant to run out.
SHORT_LEASE = 0.3


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def test_a_living_owner_keeps_its_rows(replicas: Replicas) -> None:
    """RULES 4.1: another takes over all that an owner owned when its lease is over, and not before."""
    first, second = await replicas.start("one"), await replicas.start("two")
    await first.commit([Ending(outbox=(outbox_row("a"), outbox_row("b")))])
    assert await second.take_over() == 0
    assert await second.due(0, 10) == []
    await replicas.lapse("one")
    assert await second.take_over() == 2
    assert routing(await second.due(0, 10)) == ["a", "b"]
    assert await first.due(0, 10) == []
    assert not await first.renew(), "it was late, and is told so"
    assert await first.renew()
    assert await first.due(0, 10) == [], "what was taken is another's"
    await first.commit([Ending(outbox=(outbox_row("c"),))])
    assert await second.take_over() == 0
    assert routing(await first.due(0, 10)) == ["c"]


async def test_a_lease_ends_by_itself(replicas: Replicas) -> None:
    """RULES 4.1: a lease that nobody renews is over after its seconds, by the clock of the database."""
    short = PostgresSettings.model_construct(owner_lease_seconds=SHORT_LEASE)
    first, second = await replicas.start("one", settings=short), await replicas.start("two")
    await first.commit([Ending(outbox=(outbox_row("a"),))])
    async with asyncio.timeout(PATIENCE):
        while not await second.take_over():  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(SHORT_LEASE / 10)
    assert not await first.renew()


async def test_renewing_keeps_the_lease(replicas: Replicas) -> None:
    """RULES 4.1: a lease is one row; renewing it touches no row of the outbox."""
    first, second = await replicas.start("one"), await replicas.start("two")
    await first.commit([Ending(outbox=(outbox_row("a"),))])
    before = float(await replicas.sql("SELECT until FROM hocket_owners WHERE boot = 'one'"))
    assert await first.renew()
    assert float(await replicas.sql("SELECT until FROM hocket_owners WHERE boot = 'one'")) > before
    assert await second.take_over() == 0


async def test_stopping_gives_everything_up_at_once(replicas: Replicas) -> None:
    """RULES 4.1: a process that stops in order ends its lease."""
    first, second = await replicas.start("one"), await replicas.start("two")
    await first.commit([Ending(outbox=(outbox_row("a"),))])
    await first.close()
    assert await second.take_over() == 1
    assert routing(await second.due(0, 10)) == ["a"]


async def test_due_rows_are_claimed_once(replicas: Replicas) -> None:
    """RULES 4.1: what has become due is claimed by one of the replicas, and none waits for the other."""
    stores = [await replicas.start(f"boot-{n}") for n in range(3)]
    timers = tuple(outbox_row(f"timer-{n}", wait=0.2, kind=RowKind.SELF) for n in range(90))
    await stores[0].commit([Ending(outbox=timers)])
    got: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(got) < len(timers):
            for rows in await asyncio.gather(*(store.due(None, 20) for store in stores)):
                got += routing(rows)
            await asyncio.sleep(0.02)
    assert sorted(got) == sorted(routing(timers))


async def test_ledger_shows_living_owners_only(replicas: Replicas) -> None:
    """RULES 5.2: the run of another process is at work until that owner's lease ends; then it has no owner."""
    first, second = await replicas.start("boot-1"), await replicas.start("boot-2")
    row = ledger_row("run")
    await first.commit([Ending(ledger=(row,))])
    async with second.transaction() as tx:
        assert undated(await tx.ledger([row.run])) == {row.run: written(row)}
    await replicas.lapse("boot-1")
    without = written(row._replace(owner="", boot=""))
    async with second.transaction() as tx:
        assert undated(await tx.ledger([row.run])) == {row.run: without}
    assert undated((await second.admit([], [], [row.run])).ledger) == {row.run: without}


async def test_the_first_copies_of_a_step_begin_once(replicas: Replicas) -> None:
    """RULES 5.2: of replicas that admit the same steps at once, in opposite orders, one begins each; the others see."""
    stores = [await replicas.start(f"boot-{n}") for n in range(2)]
    names = [f"run-{n}" for n in range(60)]

    async def admit(n: int) -> frozenset[str]:
        rows = [ledger_row(name)._replace(boot=f"boot-{n}", keeps=None) for name in names[:: 1 - 2 * n]]
        found = await stores[n].admit([row.inbox_key for row in rows], rows, [])
        assert found.begun | set(found.ledger) == {row.run for row in rows}
        return frozenset(found.begun)

    async with asyncio.timeout(PATIENCE):
        one, other = await asyncio.gather(admit(0), admit(1))
    assert not one & other
    assert len(one | other) == len(names)
    assert await replicas.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0"


async def test_two_replicas_hammer_the_same_keys(replicas: Replicas) -> None:
    """RULES 3.1: groups with the same keys in any order never deadlock; each key has one winner, its events one row."""
    stores = [await replicas.start(f"boot-{n}") for n in range(2)]
    names = [f"key-{n}" for n in range(120)]
    wins: list[str] = []

    async def hammer(n: int) -> None:
        chance = random.Random(n)
        order = chance.sample(names, len(names))
        for at in range(0, len(order), 30):
            group = order[at : at + 30]
            written = await insist(stores[n % 2], [ending(name, outbox=[outbox_row(name)]) for name in group])
            wins.extend(name for name, one in zip(group, written, strict=True) if one.won)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(hammer(n) for n in range(6)))
    assert sorted(wins) == sorted(names)
    assert await replicas.sql("SELECT count(*), count(DISTINCT routing_key) FROM hocket_outbox") == "120|120"
    assert await replicas.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0"


async def test_a_blocked_row_does_not_hold_the_batch(replicas: Replicas) -> None:
    """RULES 3.3: while a slow handler holds a key, its neighbours are committed and its double waits apart."""
    first, second = await replicas.start("boot-1"), await replicas.start("boot-2")
    async with first.transaction() as tx:
        await tx.write([ending("slow")])
        began = time.monotonic()
        written = await second.commit([ending("a"), ending("slow"), ending("b")])
        assert [(one.won, one.blocked) for one in written] == [(True, False), (False, True), (True, False)]
        assert time.monotonic() - began < 5.0, "not as long as the handler's lease"
        assert set(await second.inbox([key_of("a"), key_of("b"), key_of("slow")])) == {key_of("a"), key_of("b")}
    assert [(one.won, one.blocked) for one in await second.commit([ending("slow")])] == [(False, False)]


async def test_many_start_at_once(replicas: Replicas) -> None:
    """RULES 10.3: replicas that start at once on an empty database make its tables once, under a lock."""
    stores = await asyncio.gather(*(replicas.start(f"boot-{n}") for n in range(5)))
    for n, store in enumerate(stores):
        await store.commit([ending(str(n))])
    assert await replicas.sql("SELECT string_agg(name || '=' || value, ' ' ORDER BY name) FROM hocket_meta") == (
        "least=4 schema=5"
    )


@pytest.mark.parametrize("schema", ["1", "2"])
async def test_tables_of_an_earlier_hocket_are_led_on(replicas: Replicas, schema: str) -> None:
    """RULES 10.3: an earlier schema is led on at the start, by one of the replicas; what stands in it stays."""
    first = await replicas.start("boot-1")
    await first.commit([ending("kept"), Ending(ledger=(ledger_row("run", LedgerState.DONE),))])
    async with first._pools.kit() as kit:
        await kit.execute(TO_POSTGRES)
    await first.close()
    await replicas.sql("DROP INDEX hocket_outbox_waits")
    await replicas.sql("ALTER TABLE hocket_outbox DROP COLUMN wait")
    if schema == "1":
        await replicas.sql("DROP TABLE hocket_owners")
        await replicas.sql("DELETE FROM hocket_meta WHERE name = 'least'")
    else:
        await replicas.sql("ALTER TABLE hocket_owners DROP COLUMN wait")
    await replicas.sql(f"UPDATE hocket_meta SET value = '{schema}' WHERE name = 'schema'")  # noqa: S608 -- a number
    stores = await asyncio.gather(*(replicas.start(f"next-{n}") for n in range(3)))
    assert set(await stores[0].inbox([key_of("kept")])) == {key_of("kept")}
    await stores[0].commit([ending("later", outbox=[outbox_row("later", wait=90)])])
    assert await stores[1].next_due() == near(90)
    assert await replicas.sql("SELECT value FROM hocket_meta WHERE name = 'schema'") == "5"


async def test_tables_of_a_later_hocket(replicas: Replicas) -> None:
    """RULES 10.3: tables of a later hocket are refused only where they say that this one is too old for them."""
    await (await replicas.start("boot-1")).close()
    await replicas.sql("UPDATE hocket_meta SET value = '99' WHERE name = 'schema'")
    await (await replicas.start("boot-2")).close()
    await replicas.sql("UPDATE hocket_meta SET value = '98' WHERE name = 'least'")
    with pytest.raises(ConfigError, match="tables of schema 99 that need a hocket of schema 98 or later"):
        await replicas.make("boot-3").open(TABLES)
