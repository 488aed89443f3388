"""Any order of cuts, kills, stops and failures: every effect once, nothing lost, each outside key stable."""

import asyncio
import random
from collections import defaultdict

import pytest

from hocket import Reject, Tx
from hocket.broker.topology import DEAD
from tests.hocket.sample_services import Echoed, Ill, Processes, Rung, World, bells, book, booked, rope

#: Deliveries of one run, and accidents among them.
DELIVERIES = 50
ACCIDENTS = 25


class Trouble:
    """An outside that records its keys and fails at will, and a handler that does everything."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.keys: dict[str, set[str]] = defaultdict(set)

    async def work(self, rung: Rung, tx: Tx[World]) -> Echoed:
        """Call the outside, write, say; or fail, hang, reject on the way."""
        async with tx.outside(rope) as key:
            self.keys[rung.name].add(key)
            await asyncio.sleep(self.chance.uniform(0, 2))
            if self.chance.random() < 0.1:
                raise Ill
        if self.chance.random() < 0.05:
            raise Reject("not this one")
        if self.chance.random() < 0.5:
            return Echoed(name=rung.name)
        said = await book(rung, tx)
        await asyncio.sleep(self.chance.uniform(0, 1))
        if self.chance.random() < 0.2:
            raise ValueError("after the write")
        return said


async def accident(tower: Processes, world: World, chance: random.Random) -> None:
    """One of them, and some time."""
    match chance.choice(["cut", "kill", "stop", "alarm", "nack", "silence", "nothing"]):
        case "cut":
            tower.broker.cut("bells")
        case "kill":
            await tower.kill("bells")
            await tower.start(bells.using(world))
        case "stop":
            await tower.workers.pop("bells").stop(chance.uniform(0, 3))
            await tower.start(bells.using(world))
        case "alarm":
            tower.broker.alarm(True)
            await asyncio.sleep(chance.uniform(0, 5))
            tower.broker.alarm(False)
        case "nack":
            tower.broker.nack_next(chance.randrange(10))
        case "silence":
            tower.broker.drop_confirms()
            await asyncio.sleep(chance.uniform(0, 3))
            tower.broker.cut("bells")
            tower.broker.drop_confirms(False)
        case _:
            pass
    await asyncio.sleep(chance.uniform(0, 2))


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_of_accidents(tower: Processes, seed: int) -> None:
    """RULES 1 to 4, 8: the promise of the README, from one seed."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    trouble = Trouble(chance)
    world = World(behave=trouble.work)
    await tower.start(bells.using(world))
    await tower.quiet()
    names = [f"n{number}" for number in range(DELIVERIES)]
    for number, name in enumerate(names):
        for _ in range(chance.choice([1, 1, 1, 2])):
            await tower.hear(Rung(name=name), name, subject=f"bell/{number % 7}")
        if chance.random() < ACCIDENTS / DELIVERIES:
            await accident(tower, world, chance)
    for _ in range(200):
        await asyncio.sleep(60)
        if tower.at_rest():
            break
    await tower.quiet()
    await _check(tower, names, trouble)


async def _check(tower: Processes, names: list[str], trouble: Trouble) -> None:
    worker = tower.workers["bells"]
    store_rows = await booked(worker)
    assert len(store_rows) == len(set(store_rows)), "an effect came twice"
    async with worker.runtime.store.read() as db:
        rows = await db.exec_driver_sql("SELECT event_id, state FROM hocket_inbox")
        final = {str(row.event_id): str(row.state) for row in rows}
    assert set(final) == set(names), "a delivery was lost"
    dead = {name for name, state in final.items() if state == "dead"}
    assert set(final.values()) <= {"handled", "dead"}, "a delivery did not come to its end"
    echoes: dict[str, set[str]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    for each in tower.log():
        if each.source == "/bells":
            echoes[str(each.data["name"])].add(each.id)
            keys[str(each.data["name"])].add(each.idempotency_key)
    assert set(echoes) == set(names) - dead, "what was said is not what was handled"
    assert {len(ids) for ids in echoes.values()} <= {1}, "one effect was said as two events"
    assert {len(each) for each in keys.values()} <= {1}
    assert set(store_rows) <= set(echoes)
    assert {len(each) for each in trouble.keys.values()} == {1}, "an outside key changed"
    letters = {each.headers["hocket-death-id"] for each in tower.broker.messages(DEAD)}
    assert len(letters) == len(dead), "a letter is missing"
    waiting = await worker.runtime.store.waiting()
    assert (waiting.events, waiting.refused, waiting.later) == (0, 0, 0)
