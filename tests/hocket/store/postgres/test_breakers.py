"""Breakers that two replicas share through PostgreSQL: one slot, one change, one event, news with every answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from deploy.database.server import PostgresServer
from hocket.errors import StoreError
from hocket.resilience.breakers.row import BreakerRow, Sight
from hocket.resilience.breakers.transitions import asked, held
from hocket.store.postgres import statements
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import COMMAND_OWNER, Ending, Written
from hocket.testing.store_contract.breakers import CARDS
from hocket.testing.store_contract.fixtures import ending, outbox_row, routing
from hocket.testing.store_contract.timers import MET, timed
from tests.hocket.store.postgres.replicas import Replicas


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


def said(before: BreakerRow, after: BreakerRow) -> Ending:
    """An event of each change."""
    return Ending(outbox=(outbox_row(f"{before.state}.{after.state}"),))


async def over(store: PostgresStore) -> None:
    """A period that is over."""
    await store.breakers.decide("cards", lambda seen: held(seen, 0.001, "", "", least=0.0), lambda *_: None)
    async with asyncio.timeout(10):
        while (await store.breakers.all())[0].remaining():  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.01)


async def test_two_replicas_at_once_get_one_slot(replicas: Replicas) -> None:
    """RULES 6.4, 6.7: of a step of width 1 one slot is granted, and the change to half-open is said once."""
    stores = [await replicas.start("one"), await replicas.start("two")]
    for turn in range(10):
        await over(stores[0])
        granted: list[bool] = []
        events: list[str] = []

        async def ask(
            store: PostgresStore, slot: str, granted: list[bool] = granted, events: list[str] = events
        ) -> None:
            sight, rows = await store.breakers.decide("cards", lambda seen: asked(seen, slot, 60, CARDS), said)
            granted.append(slot in sight.row.granted())
            events += [row.message.routing_key for row in rows]

        await asyncio.gather(
            *(ask(store, f"{boot}/{turn}.{n}") for store, boot in zip(stores, ("one", "two"), strict=True)
              for n in range(3))
        )  # fmt: skip
        assert granted.count(True) == 1
        assert events == ["held.half-open"]
        await stores[0].breakers.decide("cards", lambda seen: seen.row.with_slots({}), lambda *_: None)


async def test_news_rides_in_the_answers(replicas: Replicas) -> None:
    """RULES 6.3: a commit and a renewal tell the sum of the versions, so nobody has to ask."""
    one, two = await replicas.start("one"), await replicas.start("two")
    await one.commit([ending("a")])
    await two.renew()
    assert (one.breakers.news()[0], two.breakers.news()[0]) == (0, 0)
    await one.breakers.decide("cards", lambda seen: held(seen, None, "", "", least=0.0), lambda *_: None)
    await two.renew()
    await one.commit([ending("b")])
    assert (one.breakers.news()[0], two.breakers.news()[0]) == (1, 1)
    await two.breakers.decide("cards", lambda seen: held(seen, None, "", "", least=0.0), lambda *_: None)
    lost, won = await one.commit([timed("late", MET), ending("c")])
    assert (lost.won, won.won) == (False, True)
    assert one.breakers.news()[0] == 2, "the first of the group has lost its time-out"


async def test_slots_of_the_dead_and_commands_do_not_count(replicas: Replicas) -> None:
    """RULES 6.5: a slot dies with its owner's lease; a command that works on the store for a moment is no replica."""
    one, two = await replicas.start("one"), await replicas.start("two")
    await replicas.start(f"{COMMAND_OWNER}7")
    [sight] = [(await one.breakers.decide("cards", lambda seen: seen.row, said))[0]]
    assert list(sight.living) == ["one", "two"]
    await over(one)

    async def ask(store: PostgresStore, slot: str) -> Sight:
        return (await store.breakers.decide("cards", lambda seen: asked(seen, slot, 60, CARDS), said))[0]

    assert list((await ask(one, "one/1")).row.granted()) == ["one/1"]
    assert list((await ask(two, "two/1")).row.granted()) == ["one/1"]
    await replicas.lapse("one")
    assert list((await ask(two, "two/2")).row.granted()) == ["two/2"]


async def test_what_was_said_and_never_answered_is_fetched(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 3.2: the change may be committed without an answer; then its event is looked for, not left to a restart."""
    one = await replicas.start("one")
    await one.breakers.decide("cards", lambda seen: seen.row, said)
    write = statements.write

    async def cut(kit: asyncpg.Connection, *values: Any) -> list[Written]:
        written = await write(kit, *values)
        await kit.execute("COMMIT")  # the server has committed, and the answer never comes
        kit.terminate()
        return written

    with monkeypatch.context() as patch:
        patch.setattr(statements, "write", cut)
        with pytest.raises(StoreError):
            await one.breakers.decide("cards", lambda seen: held(seen, None, "", "", least=0.0), said)
    assert routing(await one.due(0, 10)) == ["closed.held"]
    assert await one.take_over() > 0


async def test_each_replica_is_seen_to_live(replicas: Replicas) -> None:
    """RULES 4.8: until it stops, or its lease is over."""
    one, two = await replicas.start("one"), await replicas.start("two")
    assert sorted(await one.breakers.living()) == sorted(await two.breakers.living())
    assert len(await one.breakers.living()) == 2
    await two.close()
    assert len(await one.breakers.living()) == 1
