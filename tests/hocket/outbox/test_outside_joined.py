"""RULES 2.3 and 4 for an application's own transaction: what it writes and what is said stand or fall together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hocket.errors import HocketError, KeyTaken, OutsideTooLate, Unsayable
from hocket.tx import MAX_SAID
from hocket.worker import Worker
from tests.hocket.outbox.test_outside_transactions import FILES
from tests.hocket.sample_services import Echoed, Processes, World, bells, rope, until

Open = Callable[[str], Awaitable[AsyncEngine]]


@pytest.fixture
async def engine(tower: Processes) -> AsyncIterator[AsyncEngine]:
    """An application's engine over the database of `bells`, with a table of its own."""
    made = create_async_engine(f"sqlite+aiosqlite:///{tower.folder / 'bells.db'}")
    yield made
    await made.dispose()


async def started(tower: Processes, engine: AsyncEngine) -> Worker:
    """The service, and the application's table."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE mine (name TEXT)"))
    return worker


def echoes(tower: Processes) -> list[str]:
    """What was said, by name."""
    return [str(each.data["name"]) for each in tower.log() if each.type == "bell.echoed"]


async def mine(engine: AsyncEngine) -> list[str]:
    """What the application has committed."""
    async with engine.connect() as connection:
        return [row.name for row in await connection.execute(text("SELECT name FROM mine"))]


async def test_it_is_said_when_the_application_commits(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 4.7: both are committed together, nothing is published before, and all of it soon after."""
    worker = await started(tower, engine)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO mine VALUES ('a')"))
        async with worker.outside("k", None, connection) as tx:
            tx.say(Echoed(name="a"))
            tx.say_many(Echoed(name=f"a{n}") for n in range(3))
        await tower.quiet()
        assert not echoes(tower)
    await until(lambda: len(echoes(tower)) == 4)
    assert echoes(tower) == ["a", "a0", "a1", "a2"]
    assert await mine(engine) == ["a"]


async def test_nothing_is_said_where_the_application_rolls_back(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 2.3: neither its rows, nor ours, nor the key stay behind."""
    worker = await started(tower, engine)
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO mine VALUES ('a')"))
        async with worker.outside("k", None, connection) as tx:
            tx.say(Echoed(name="a"))
        await connection.rollback()
    async with engine.begin() as connection, worker.outside("k", None, connection) as tx:
        assert not tx.seen
        tx.say(Echoed(name="b"))
    await until(lambda: bool(echoes(tower)))
    assert echoes(tower) == ["b"]
    assert await mine(engine) == []


async def test_nothing_is_said_where_the_applications_commit_is_refused(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 3.2: the application gets its own error of its own commit; neither key nor event stays behind."""
    worker = await started(tower, engine)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE folders (id INTEGER PRIMARY KEY)"))
        await connection.execute(text(FILES))
    async with engine.connect() as connection:
        await connection.execute(text("PRAGMA foreign_keys = ON"))
        await connection.execute(text("INSERT INTO files VALUES (1)"))
        async with worker.outside("k", None, connection) as tx:
            tx.say(Echoed(name="a"))
        with pytest.raises(IntegrityError):
            await connection.commit()
        await connection.invalidate()  # SQLite leaves the transaction open, and SQLAlchemy holds it for ended
    async with engine.begin() as connection, worker.outside("k", None, connection) as tx:
        assert not tx.seen
        tx.say(Echoed(name="b"))
    await until(lambda: bool(echoes(tower)))
    assert echoes(tower) == ["b"]
    assert worker.health() == []


async def test_a_part_that_raises_writes_nothing(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 2.3: also where the application goes on and commits, the key is free and nothing is said."""
    worker = await started(tower, engine)
    async with engine.begin() as connection:
        with suppress(ZeroDivisionError):
            async with worker.outside("k", None, connection) as tx:
                tx.say(Echoed(name="a"))
                raise ZeroDivisionError
        await connection.execute(text("INSERT INTO mine VALUES ('a')"))
    async with worker.outside("k", None) as tx:
        assert not tx.seen
    assert await mine(engine) == ["a"]
    assert not echoes(tower)


async def test_a_key_is_said_once(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 2.3: the second time it is `seen`, with the first flow, also within one transaction, and says nothing."""
    worker = await started(tower, engine)
    flows: list[tuple[bool, str]] = []
    for _ in range(2):
        async with engine.begin() as connection:
            for _ in range(2):
                async with worker.outside("k", None, connection) as tx:
                    tx.say(Echoed(name="a"))
                flows.append((tx.seen, tx.correlation_id))
    await tower.quiet()
    assert [seen for seen, _ in flows] == [False, True, True, True]
    assert len({flow for _, flow in flows}) == 1
    await until(lambda: bool(echoes(tower)))
    assert echoes(tower) == ["a"]


async def test_of_two_with_one_key_at_once_the_other_is_rolled_back(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 2.3: who loses gets an error that takes the application's own rows back; asked again, the key is seen."""
    worker = await started(tower, engine)

    async def second() -> None:
        async with engine.begin() as connection, worker.outside("k", None, connection) as tx:
            async with worker.outside("k", None) as faster:
                faster.say(Echoed(name="first"))
            await connection.execute(text("INSERT INTO mine VALUES ('second')"))
            tx.say(Echoed(name="second"))

    with pytest.raises(KeyTaken, match="rolled back"):
        await second()
    assert await mine(engine) == []
    async with engine.begin() as connection, worker.outside("k", None, connection) as again:
        assert again.seen
    await until(lambda: bool(echoes(tower)))
    assert echoes(tower) == ["first"]


async def test_what_a_killed_process_had_committed_is_said_by_the_next(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 4.1: the rows have no owner; whoever looks next publishes them."""
    worker = await started(tower, engine)
    async with engine.begin() as connection:
        async with worker.outside(None, None, connection) as tx:
            tx.say(Echoed(name="a"))
        await tower.kill("bells")
    await tower.start(bells.using(World()))
    await until(lambda: bool(echoes(tower)))
    assert echoes(tower) == ["a"]


async def test_the_outside_comes_before(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 3.3: the application's transaction is open, so no call to the outside begins in it."""
    worker = await started(tower, engine)
    async with engine.begin() as connection, worker.outside(None, None, connection) as tx:
        with pytest.raises(OutsideTooLate):
            async with tx.outside(rope):
                raise AssertionError


async def test_another_database_is_refused(tower: Processes, engine: AsyncEngine, tmp_path: Path) -> None:
    """RULES 2.3: an outbox in another database would be no outbox; the sentence names both ways out."""
    worker = await started(tower, engine)
    other = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    async with other.begin() as connection:
        with pytest.raises(HocketError, match="give the application's engine the same database"):
            async with worker.outside("k", None, connection):
                raise AssertionError
    await other.dispose()


async def test_one_transaction_says_a_bounded_number(tower: Processes, engine: AsyncEngine) -> None:
    """RULES 4.6: beyond the bound it raises where it is said."""
    worker = await started(tower, engine)
    with pytest.raises(Unsayable, match=f"at most {MAX_SAID}"):
        async with worker.outside(None, None) as tx:
            tx.say_many([Echoed(name="a")] * (MAX_SAID + 1))
