"""RULES 2 through whole services: who is a double of whom, and which keys the outside gets."""

import pytest

from hocket import Service, Tx
from hocket.broker.port import Message
from hocket.broker.topology import DEAD, EVENTS
from hocket.envelope.cloudevent import read_json
from hocket.envelope.keys import HASH_DIGITS, correlation_of, derived_key, inbox_key, run_key, undo_key
from hocket.errors import HocketError
from tests.hocket.sample_services import (
    BRIEF,
    FLOW,
    LONG,
    Echoed,
    Processes,
    Rung,
    Shut,
    Tolled,
    World,
    bells,
    book,
    booked,
    echo,
    message_of,
    rope,
    steps,
    tables,
    uses,
)
from tests.hocket.two_type_service import RungTwice, twins

RUNG = Rung(name="a")


async def test_a_foreign_event_gets_its_flow_and_its_key_from_its_identity(tower: Processes) -> None:
    """RULES 2.1: a missing correlation id is uuid5(source, id), a missing idempotency key is the id."""
    world = World(behave=echo)
    await tower.start(bells.using(world))
    headers = {
        "cloudEvents_specversion": "1.0", "cloudEvents_id": "7", "cloudEvents_source": "/legacy",
        "cloudEvents_type": "bell.rung",
    }  # fmt: skip
    foreign = Message(EVENTS, "bell.rung.v1", b'{"name":"a"}', "application/json", headers)
    for _ in range(2):
        await tower.post.publish([foreign])
        await tower.quiet()
    [said] = [each for each in tower.log() if each.type == "bell.echoed"]
    assert said.correlation_id == correlation_of("/legacy", "7")
    assert said.idempotency_key == derived_key(
        ("/legacy", "bell.rung", "7"), "bells.ring", "bell.echoed", 0, said.correlation_id
    )
    assert world.attempts == [1]


async def test_one_business_key_may_stand_on_several_types(tower: Processes) -> None:
    """RULES 2.2: the inbox key is no narrower than (subscription, source, type, idempotency key)."""
    world = World()
    await tower.start(twins.using(world))
    await tower.hear(RUNG, "order-1")
    await tower.hear(RungTwice(name="a"), "order-1")
    await tower.quiet()
    assert len(world.keys) == 2
    assert len(set(world.keys)) == 2


async def test_one_fact_under_two_ids_runs_once(tower: Processes) -> None:
    """RULES 2.2: nor wider: the id of the event is no part of it."""
    world = World(behave=book)
    worker = await tower.start(bells.using(world))
    for id in ("x", "y"):
        await tower.hear(RUNG, "k", id=id)
    await tower.quiet()
    await tower.hear(RUNG, "k", id="z")
    await tower.quiet()
    assert await booked(worker) == ["a"]
    assert [each["outcome"] for each in tower.receipts()] == ["handled", "duplicate", "duplicate"]


async def test_one_key_of_two_publishers_is_two_facts(tower: Processes) -> None:
    """RULES 2.2: the source is part of the key; the outside gets two keys."""
    world = World()
    await tower.start(bells.using(world))
    for source in ("/post", "/other"):
        await tower.hear(RUNG, "order-1", source=source)
    await tower.quiet()
    assert world.attempts == [1, 1]
    assert len(set(world.keys)) == 2


async def test_keys_of_said_events_differ_by_ordinal_and_are_equal_over_attempts(tower: Processes) -> None:
    """RULES 2.3: what a second attempt says carries the keys that the first would have carried."""
    seen: list[list[str]] = []
    pair = Service("bells", owner="team-tower", uses=uses, tables=tables)

    @pair.handler(name="ring")
    async def twice(rung: Rung, tx: Tx[World]) -> list[Echoed]:
        return [Echoed(name="a"), Echoed(name="b")]

    for folder in ("one", "two"):
        (tower.folder / folder).mkdir()
        tower.folder = tower.folder / folder
        worker = await tower.start(pair.using(World()))
        if folder == "one":
            await tower.hear(RUNG, "k")
        else:
            third = message_of(RUNG, "k", tower.clock, id="again", headers={"hocket-attempt": 3})
            await tower.post.publish([third])
        await tower.quiet()
        seen.append([each.idempotency_key for each in tower.log() if each.type == "bell.echoed"][-2:])
        await tower.stop(worker.service.name)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 2
    cause = ("/post", "bell.rung", "k")
    assert seen[0] == [derived_key(cause, "bells.ring", "bell.echoed", n, FLOW) for n in (0, 1)]


async def test_two_subscriptions_say_and_call_under_different_keys(tower: Processes) -> None:
    """RULES 2.3, 2.4: the subscription is part of every derived key."""
    one, two = World(behave=echo), World(behave=echo)
    await tower.start(bells.using(one))
    await tower.start(twins.using(two))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    said = [each.idempotency_key for each in tower.log() if each.type in {"bell.echoed", "twin.echoed"}]
    assert len(set(said)) == len(said) == 2
    assert set(one.keys).isdisjoint(two.keys)


async def test_the_outside_gets_one_key_in_every_attempt_and_one_for_each_name(tower: Processes) -> None:
    """RULES 2.4: `tx.outside(breaker)` hands over `tx.idempotency_key`, with a name `tx.key(name)`."""
    keys: list[tuple[str, str, bool]] = []

    async def call(rung: Rung, tx: Tx[World]) -> None:
        async with tx.outside(rope) as first, tx.outside(rope, "bell two") as second:
            keys.append((first, second, first == tx.idempotency_key and second == tx.key("bell two")))
        if tx.attempt < 3:
            raise ValueError("again")

    await tower.start(bells.using(World(behave=call)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    first, second, as_told = keys[0]
    assert as_told
    assert first != second


@pytest.mark.parametrize("name", ["x", ""])
async def test_the_same_name_twice_in_one_attempt_raises(tower: Processes, name: str) -> None:
    """RULES 2.4: two calls under one key would be one call to the outside; no name is a name too."""
    seen: list[str] = []

    async def call(rung: Rung, tx: Tx[World]) -> None:
        async with tx.outside(rope, name):
            pass
        with pytest.raises(HocketError, match=f"twice with the name '{name}'"):
            async with tx.outside(rope, name):
                seen.append("called")

    await tower.start(bells.using(World(behave=call)))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert not seen
    assert [each["outcome"] for each in tower.receipts()] == ["handled"]


async def test_an_undo_has_a_key_of_its_own_and_knows_that_of_the_step(tower: Processes) -> None:
    """RULES 2.4: in the n-th undo it is hash(step run, "undo", n), in each attempt; `tx.step_key` is the step's."""
    told: list[tuple[str, str]] = []

    async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
        return Tolled(name=rung.name)

    async def hush(rung: Rung, tx: Tx[World]) -> None:
        async with tx.outside(rope) as key:
            told.append((key, tx.step_key))
        if len(told) < 3:
            raise ValueError("again")

    world = World(behave=toll, undo=hush)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    await tower.hear(Shut(name="a"), "shut")
    await tower.advance(LONG)
    run = run_key(FLOW, "steps.toll", '["a"]')
    assert told == [(undo_key(run, 1), world.keys[0])] * 3


async def test_what_leaves_no_trace_has_no_inbox_row(tower: Processes) -> None:
    """RULES 2.6: handled at once it writes none, so that each copy runs; a failed attempt has one all the same."""
    looking = Service("looking", owner="team-tower", uses=uses)

    @looking.handler(idempotent=True, retry=BRIEF)
    async def look(rung: Rung, tx: Tx[World]) -> None:
        tx.use.attempts.append(tx.attempt)
        await tx.use.behave(rung, tx)

    async def once(rung: Rung, tx: Tx[World]) -> None:
        if rung.name == "ill" and tx.attempt == 1:
            raise ValueError("again")

    world = World(behave=once)
    worker = await tower.start(looking.using(world))
    for _ in range(2):
        await tower.hear(RUNG, "k")
        await tower.quiet()
    assert world.attempts == [1, 1]
    marks = [inbox_key("looking.look", "/post", "bell.rung", key) for key in ("k", "ill")]
    assert await worker.runtime.store.inbox(marks) == {}
    await tower.hear(Rung(name="ill"), "ill")
    await tower.advance(LONG)
    assert set(await worker.runtime.store.inbox(marks)) == {marks[1]}
    assert [each["outcome"] for each in tower.receipts()] == ["handled", "handled", "retry", "handled"]


async def test_another_fact_under_a_known_key_is_buried_and_harms_no_neighbour(tower: Processes) -> None:
    """RULES 2.5, 8.2: same key, same schema, other data: a conflict letter; its neighbours are handled."""
    world = World(behave=book)
    worker = await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    for name, key in (("b", "k2"), ("other", "k"), ("c", "k3")):
        await tower.hear(Rung(name=name), key)
    await tower.quiet()
    assert await booked(worker) == ["a", "b", "c"]
    [letter] = tower.broker.messages(DEAD)
    assert (letter.headers["hocket-death-cause"], letter.routing_key) == ("conflict", "bells.ring")
    assert letter.headers["hocket-death-spoke"] == 0


@pytest.mark.parametrize(("revision", "outcome"), [(0, "dead"), (1, "duplicate"), (2, "duplicate"), (3, "dead")])
async def test_a_revision_on_a_handled_row(tower: Processes, revision: int, outcome: str) -> None:
    """RULES 2.5: with `revision` lower or equal to the known one is seen, higher on a handled row a conflict."""
    world = World()
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k", revision=2)
    await tower.quiet()
    await tower.hear(Rung(name="a", loud=1), "k", revision=revision)
    await tower.quiet()
    expected = "duplicate" if revision == 0 else outcome
    assert [each["outcome"] for each in tower.receipts()] == ["handled", expected]
    assert world.attempts == [1]


async def test_an_order_to_undo_of_an_earlier_hocket_finds_its_run(tower: Processes) -> None:
    """RULES 5.4, 10.3: before schema 4 a run was named by its hash alone, in queues and in letters too."""

    async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
        return Tolled(name=rung.name)

    world = World(behave=toll)
    worker = await tower.start(steps.using(world))
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    async with worker.runtime.store.transaction() as tx:
        await (await tx.db()).exec_driver_sql("UPDATE hocket_ledger SET state = 'undoing', generation = 1")
    why = read_json(message_of(Shut(name="a"), "s", tower.clock).body)
    data = {"run": run_key(FLOW, "steps.toll", '["a"]')[-HASH_DIGITS:], "n": 1, "why": why}
    order = message_of(Rung(name="a"), "u1", tower.clock, type="hocket.undo", source="/steps", data=data)
    await tower.post.publish([order._replace(exchange="steps", routing_key="steps.hush")])
    await tower.advance(LONG)
    assert [(name, did) for name, did, *_ in world.undone] == [("a", True)]
    assert tower.receipts()[-1]["ledger"] == "undone"
