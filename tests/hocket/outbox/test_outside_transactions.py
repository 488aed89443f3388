"""`service.tx()`: the same inbox and outbox, outside handlers."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from hocket import Event, Scheduled, Service
from hocket.envelope.keys import derived_key, inbox_key
from hocket.envelope.token import Fact, decode_token
from hocket.errors import StoreError, Unsayable
from hocket.setting_groups import MAX_EVENT_BYTES
from hocket.store.records import Ending, Written
from hocket.store.unit_of_work import Superseded
from hocket.worker import Worker
from tests.hocket.sample_services import FLOW, FaultyStore, Processes, World, booked, rope, tables, tolled, uses

desk = Service("desk", owner="team-tower", uses=uses, tables=tables)


class Asked(Event, type="desk.asked", subject="desk/{name}"):
    name: str


class Typed(Event, type="desk.typed", subject="desk/letter"):
    text: str


class Never(Event, type="desk.never", subject="desk/{name}"):
    name: str


desk.says(Asked, Typed)

FILES = "CREATE TABLE files (folder INTEGER REFERENCES folders (id) DEFERRABLE INITIALLY DEFERRED)"


async def test_a_key_that_was_here_before_says_nothing_again(tower: Processes) -> None:
    """RULES 2.3: `seen`, the first correlation id, and no second event, also where nobody asks for `seen`."""
    worker = await tower.start(desk.using(World()))
    flows = []
    for _ in range(2):
        async with worker.outside("post-1", None) as tx:
            tx.say(Asked(name="a"))
        flows.append((tx.seen, tx.correlation_id))
    await tower.quiet()
    assert [seen for seen, _ in flows] == [False, True]
    assert flows[0][1] == flows[1][1]
    mark = inbox_key("desk", "/desk", "", "post-1")
    assert set(await worker.runtime.store.inbox([mark])) == {mark}
    [said] = tower.log()
    assert said.idempotency_key == derived_key(("/desk", "", "post-1"), "desk", "desk.asked", 0, flows[0][1])


async def _say_beside_an_orphan(worker: Worker) -> None:
    async with worker.outside("post-1", None) as tx:
        await (await tx.db()).execute(text("INSERT INTO files VALUES (1)"))
        tx.say(Asked(name="a"))


async def test_a_refused_commit_is_told_to_its_caller(tower: Processes) -> None:
    """RULES 3.2: what only the commit refuses is SQLAlchemy's own error: nothing stands, the service stays ready."""
    worker = await tower.start(desk.using(World()))
    async with worker.outside("tables", None) as tx:
        await (await tx.db()).execute(text("CREATE TABLE folders (id INTEGER PRIMARY KEY)"))
        await (await tx.db()).execute(text(FILES))
    with pytest.raises(IntegrityError, match="COMMIT"):
        await _say_beside_an_orphan(worker)
    await tower.quiet()
    assert worker.health() == []
    async with worker.outside("post-1", None) as tx:
        assert not tx.seen
        tx.say(Asked(name="b"))
    await tower.quiet()
    assert [each.data["name"] for each in tower.log()] == ["b"]


async def test_of_two_at_once_one_is_seen(tower: Processes) -> None:
    """RULES 3.1: the second finds the key taken when it opens or commits; nothing of it stands."""
    worker = await tower.start(desk.using(World()))
    seen = []

    async def ask(write: bool) -> None:
        async with worker.outside("k", None) as tx:
            await asyncio.sleep(1)
            tx.say(Asked(name="a"))
            if write:
                await (await tx.db()).execute(insert(tolled).values(name="a"))
        seen.append(tx.seen)

    await asyncio.gather(ask(True), ask(True), ask(False))
    await tower.quiet()
    assert sorted(seen) == [False, True, True]
    assert len(tower.log()) == 1


async def test_without_a_key_each_event_is_its_own(tower: Processes) -> None:
    """RULES 2.3: its id is its key; and two transactions never call the outside under one key."""
    worker = await tower.start(desk.using(World()))
    keys = []
    for _ in range(2):
        async with worker.outside(None, FLOW) as tx:
            async with tx.outside(rope) as plain, tx.outside(rope, "mail") as named:
                keys += [plain, named]
            tx.say(Asked(name="a"))
    await tower.quiet()
    assert len(set(keys)) == 4
    assert all(each.idempotency_key == each.id and each.correlation_id == FLOW for each in tower.log())


async def test_an_error_inside_says_nothing(tower: Processes) -> None:
    """It is rolled back whole, and the key is free."""
    worker = await tower.start(desk.using(World()))

    async def ask() -> None:
        async with worker.outside("k", None) as tx:
            tx.say(Asked(name="a"))
            await tx.db()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await ask()
    with pytest.raises(Unsayable, match="says\\(\\) outside handlers"):
        async with worker.outside("k", None) as tx:
            tx.say(Never(name="a"))
    async with worker.outside("k", None) as tx:
        assert not tx.seen
    await tower.quiet()
    assert tower.log() == []


async def test_a_handler_that_is_superseded_around_it_stays_superseded(tower: Processes) -> None:
    """RULES 3.1: the end of the handler's own run is not taken for a key that was here before."""
    worker = await tower.start(desk.using(World()))

    async def superseded() -> None:
        async with worker.outside("k", None) as tx:
            tx.say(Asked(name="a"))
            raise Superseded

    with pytest.raises(Superseded):
        await superseded()
    async with worker.outside("k", None) as tx:
        assert not tx.seen
    await tower.quiet()
    assert tower.log() == []


async def test_what_cannot_leave_is_refused_at_the_moment_it_is_said(tower: Processes) -> None:
    """Too big, undeclared or no event: `say` itself raises, names type, size and bound; the transaction may go on."""
    worker = await tower.start(desk.using(World()))
    huge = Typed(text="x" * MAX_EVENT_BYTES)
    async with worker.outside("k", None) as tx:
        with pytest.raises(Unsayable, match=rf"desk\.typed about \S+ has \d{{7}} bytes .* is {MAX_EVENT_BYTES}"):
            tx.say(huge)
        with pytest.raises(Unsayable, match=r"has \d{7} bytes"):
            tx.say(Scheduled(huge, after=timedelta(hours=1), key="k"))
        with pytest.raises(Unsayable, match=r"desk says \S+ version 1, which it does not declare"):
            tx.say(Never(name="a"))
        with pytest.raises(Unsayable, match="desk says dict, which is not an Event"):
            tx.say({"name": "a"})
        tx.say(Asked(name="a"))
    await tower.quiet()
    assert [envelope.type for envelope in tower.log()] == ["desk.asked"]


async def test_too_big_an_event_is_refused_where_it_is_said(tower: Processes) -> None:
    """RULES 4.3: within the transaction that says it, with size and bound; nothing of that transaction stands."""
    worker = await tower.start(desk.using(World()))

    async def ask() -> None:
        async with worker.outside("k", None) as tx:
            await (await tx.db()).execute(insert(tolled).values(name="a"))
            tx.say(Asked(name="a"))
            tx.say(Typed(text="x" * MAX_EVENT_BYTES))

    with pytest.raises(Unsayable, match=rf"desk\.typed about \S+ has \d{{7}} bytes and the bound is {MAX_EVENT_BYTES}"):
        await ask()
    await tower.quiet()
    assert tower.log() == []
    assert await booked(worker) == []
    async with worker.outside("k", None) as tx:
        assert not tx.seen


async def test_a_commit_of_unknown_outcome_is_published_all_the_same(tower: Processes) -> None:
    """RULES 3.2: the caller hears of the failure, and what was committed does not wait for the next start."""
    worker = await tower.start(desk.using(World()))
    await tower.quiet()

    class Cut(FaultyStore):
        async def commit(self, endings: Sequence[Ending]) -> list[Written]:
            written = await super().commit(endings)
            if any(each.inbox for each in endings):
                raise StoreError("the disk answered with an error")
            return written

    store = worker.runtime.store
    assert isinstance(store, FaultyStore)
    store.__class__ = Cut
    with pytest.raises(StoreError):
        async with worker.outside("k", None) as tx:
            tx.say(Asked(name="a"))
    await tower.quiet()
    assert len(tower.log()) == 1
    async with worker.outside("k", None) as tx:
        assert tx.seen


async def test_two_openings_at_once_are_one_transaction(tower: Processes) -> None:
    """`tx.db()` from two tasks of one `service.tx()` is one connection, and no wait for oneself."""
    worker = await tower.start(desk.using(World()))
    began = asyncio.get_running_loop().time()
    async with worker.outside("k", None) as tx:
        one, two = await asyncio.gather(tx.db(), tx.db())
        assert one is two
        tx.say(Asked(name="a"))
    assert asyncio.get_running_loop().time() - began < 1
    await tower.quiet()
    assert [envelope.type for envelope in tower.log()] == ["desk.asked"]


@pytest.mark.parametrize("key", ["post-1", None])
async def test_the_token_names_what_the_log_has(tower: Processes, key: str | None) -> None:
    """RULES 14.7: given after saying and before the commit, with a key and without one."""
    worker = await tower.start(desk.using(World()))
    async with worker.outside(key, None) as tx:
        assert decode_token(tx.token) == ()
        tx.say(Asked(name="a"))
        tx.say_many([Typed(text="x"), Scheduled(Asked(name="b"), key="b", after=timedelta(seconds=1))])
        token = tx.token
    await tower.quiet()
    await asyncio.sleep(2)
    await tower.quiet()
    said = {Fact("/desk", each.type, each.idempotency_key) for each in tower.log()}
    assert len(said) == 3
    assert set(decode_token(token)) == said
    assert tx.token == token


async def test_a_seen_key_gives_the_token_of_the_first_time(tower: Processes) -> None:
    """RULES 14.7: whether it was found at the start or at the end, when who repeats says the same again."""
    worker = await tower.start(desk.using(World()))
    tokens = []

    async def ask() -> None:
        async with worker.outside("k", None) as tx:
            await asyncio.sleep(1)
            tx.say_many([Asked(name="a"), Asked(name="b")])
        tokens.append(tx.token)

    await asyncio.gather(ask(), ask())
    await ask()
    await tower.quiet()
    assert len(set(tokens)) == 1
    assert {each.key for each in decode_token(tokens[0])} == {each.idempotency_key for each in tower.log()}
    assert len(tower.log()) == 2
