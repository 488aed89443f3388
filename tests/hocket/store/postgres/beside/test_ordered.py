"""RULES 9.1, 9.9 on PostgreSQL: two transactions at once about one token, or about one line."""

import asyncio
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.store.ordering.tokens import lines_of, take
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Written
from hocket.testing.store_contract.ordering import LANE, ordered, park, release


async def opened(postgres: PostgresServer, schema: str) -> PostgresStore:
    """A process of the service."""
    store = PostgresStore(postgres.url(), clock=SystemClock(), boot=uuid4().hex, schema=schema)
    await store.open()
    return store


@pytest.mark.parametrize("first", ["park", "end"])
async def test_a_park_and_the_end_of_its_head_at_once(postgres: PostgresServer, first: str) -> None:
    """RULES 9.9: nothing is left behind a head that has ended: either is refused, or sends the other."""
    store = await opened(postgres, f"races_{uuid4().hex}")
    taken = await take(store, LANE, "boot", 1.0, 0)
    assert taken is not None

    async def parked() -> bool:
        while True:
            [written] = await store.commit([park("b", taken.token, 1, behind="a")])
            if not written.blocked:
                return written.won
            await asyncio.sleep(0.05)

    async def ended(wait: float) -> Written:
        async with store.transaction() as tx:
            [written] = await tx.write([release("a", taken.token)])
            await asyncio.sleep(wait)
        return written

    if first == "park":
        won = await parked()
        end = await ended(0.0)
    else:
        ending = asyncio.create_task(ended(0.5))
        await asyncio.sleep(0.2)
        won = await parked()
        end = await ending
    assert end.won
    assert won is bool(end.outbox)
    line = (await lines_of(store, LANE, ["order/1"])).get("order/1")
    assert (line is not None) is won
    await store.close()


async def test_who_takes_the_token_waits_for_the_commits_under_the_last(postgres: PostgresServer) -> None:
    """RULES 9.1: when a token is taken, nothing that was decided under the one before can still be written."""
    schema = f"races_{uuid4().hex}"
    store, other = await opened(postgres, schema), await opened(postgres, schema)
    taken = await take(store, LANE, "boot", 1.0, 0)
    assert taken is not None
    order: list[str] = []
    async with store.transaction() as tx:
        [written] = await tx.write([ordered("a", taken.token)])
        taking = asyncio.create_task(take(other, LANE, "other", 1.0, taken.token))
        await asyncio.sleep(0.3)
        assert written.won
        assert not taking.done()
        order.append("committed")
    next_one = await taking
    order.append("taken")
    assert next_one is not None
    assert order == ["committed", "taken"]
    [late] = await store.commit([ordered("b", taken.token)])
    assert not late.won
    await other.close()
    await store.close()
