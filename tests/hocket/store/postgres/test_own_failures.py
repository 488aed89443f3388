"""A handler that misuses PostgreSQL fails by itself: its attempts are counted, and nobody else notices (RULES 3.2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.database.server import PostgresServer
from hocket.delivery.blame import SPARED
from hocket.errors import HocketError
from hocket.setting_groups import PostgresSettings
from hocket.store.errors import CLOSED_BY_HAND, ENDED_BY_HAND, MADE_READ_ONLY
from hocket.store.handler_connection import CONTROL_REFUSAL
from hocket.store.postgres.errors import BUSY
from hocket.testing.store_contract.fixtures import ending, key_of
from tests.hocket.store.culprits import Act, Culprits, orphan, parents
from tests.hocket.store.postgres.replicas import Replicas


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def _raw(db: AsyncConnection) -> asyncpg.Connection:
    raw = (await db.get_raw_connection()).driver_connection
    assert raw is not None
    return raw


async def _times_out(db: AsyncConnection) -> None:
    await db.execute(text("SET LOCAL statement_timeout = '50ms'"))
    await db.execute(text("SELECT pg_sleep(5)"))


async def _leaves_a_task(db: AsyncConnection) -> None:
    task = asyncio.create_task(db.execute(text("SELECT pg_sleep(20)")))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    _left.add(task)
    await asyncio.sleep(0.05)


_left: set[asyncio.Task[object]] = set()


async def _closes(db: AsyncConnection) -> None:
    await (await _raw(db)).close()


async def _terminates_here(db: AsyncConnection) -> None:
    (await _raw(db)).terminate()
    await db.execute(text("SELECT 1"))


async def _invalidates(db: AsyncConnection) -> None:
    with suppress(HocketError):
        await db.invalidate()


async def _invalidates_inside(db: AsyncConnection) -> None:
    with suppress(HocketError):
        await db.run_sync(lambda connection: connection.invalidate())


async def _invalidates_with_a_reason(db: AsyncConnection) -> None:
    await db.run_sync(lambda connection: connection.invalidate(ValueError("broken, says the team")))


async def _gives_a_statement_up(db: AsyncConnection) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await db.execute(text("SELECT pg_sleep(5)"))


async def _reads_only_and_writes(db: AsyncConnection) -> None:
    await db.execute(text("SELECT set_config('transaction_read_only', 'on', true)"))
    await db.execute(insert(parents).values(id=101))


async def _rolls_back_raw(db: AsyncConnection) -> None:
    await (await _raw(db)).execute("ROLLBACK")


async def _terminates(db: AsyncConnection) -> None:
    await db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def _reads_only(db: AsyncConnection) -> None:
    await db.execute(text("SET TRANSACTION READ ONLY"))


async def _raises(db: AsyncConnection) -> None:
    raise OperationalError("SELECT 1", None, ConnectionError("the server is gone, says the team"))


async def _foreign(db: AsyncConnection) -> None:
    await asyncpg.connect("postgresql://nobody@127.0.0.1:1/nothing", timeout=1)


async def _foreign_lost(db: AsyncConnection) -> None:
    raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


async def _forgets_arguments(db: AsyncConnection) -> None:
    await db.exec_driver_sql("SELECT $1::int", ())


async def _conflicts(db: AsyncConnection) -> None:
    await db.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"))


async def _trips_at_the_commit(db: AsyncConnection) -> None:
    await db.execute(text("INSERT INTO tripped VALUES (1)"))


async def _commits_behind_a_comment(db: AsyncConnection) -> None:
    await db.execute(text("/* mine */ COMMIT"))


async def _commits_raw(db: AsyncConnection) -> None:
    await (await _raw(db)).execute("INSERT INTO parents VALUES (99) ON CONFLICT DO NOTHING; COMMIT")


async def _begins_another(db: AsyncConnection) -> None:
    await (await _raw(db)).execute("COMMIT; BEGIN")
    await db.execute(insert(parents).values(id=100))


@pytest.mark.parametrize(
    ("act", "says", "spared"),
    [
        (_times_out, "statement timeout", 0),
        (_leaves_a_task, BUSY, 0),
        (_closes, CLOSED_BY_HAND, 0),
        (_terminates_here, CLOSED_BY_HAND, 0),
        (_invalidates, CONTROL_REFUSAL, 0),
        (_invalidates_inside, CONTROL_REFUSAL, 0),
        (_invalidates_with_a_reason, CLOSED_BY_HAND, 0),
        (_gives_a_statement_up, CLOSED_BY_HAND, 0),
        (_terminates, "terminating connection", SPARED),
        (_reads_only, MADE_READ_ONLY, 0),
        (_reads_only_and_writes, MADE_READ_ONLY, 0),
        (_rolls_back_raw, ENDED_BY_HAND, 0),
        (_raises, "says the team", 0),
        (_foreign, "", 0),
        (_foreign_lost, "middle of operation", 0),
        (_forgets_arguments, "argument", 0),
        (_conflicts, "no", SPARED),
        (orphan, "COMMIT", 0),
        (_trips_at_the_commit, "COMMIT", 0),
        (_commits_behind_a_comment, CONTROL_REFUSAL, 0),
        (_commits_raw, ENDED_BY_HAND, 0),
        (_begins_another, ENDED_BY_HAND, 0),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
@pytest.mark.parametrize("step", [False, True], ids=["plain", "step"])
async def test_it_is_its_own(replicas: Replicas, act: Act, says: str, spared: int, step: bool) -> None:
    """RULES 3.2: attempts are used, then a letter says why; neighbours run once, the service stays ready."""
    await replicas.start("before")
    await replicas.sql(
        f'SET search_path = "{replicas.schema}"; CREATE TABLE tripped (n int); '
        "CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'tripped'; END $$; "
        "CREATE CONSTRAINT TRIGGER trip AFTER INSERT ON tripped DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION trip()"
    )
    culprits = Culprits(replicas.make("boot-1"), act, step=step)
    await culprits.run()
    said = culprits.judge(spared=spared)
    assert says in said
    if says in {CLOSED_BY_HAND, CONTROL_REFUSAL, ENDED_BY_HAND, MADE_READ_ONLY}:
        assert f"culprits.{'toll' if step else 'ring'} (culprits.py:" in said


CHANGES = (
    "SET LOCAL search_path TO pg_catalog",
    "SET LOCAL ROLE h_tenant",
    "SELECT set_config('search_path', 'pg_catalog', false)",
    "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
    "CREATE TEMP TABLE left_behind (n int)",
    "SELECT pg_advisory_lock(77)",
)
STANDS = (
    "SELECT current_setting('TimeZone'), current_setting('search_path'), current_user, pg_backend_pid(), "
    "(SELECT count(*) FROM pg_class WHERE relname = 'left_behind'), "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
)


@pytest.mark.parametrize("change", CHANGES)
async def test_what_a_handler_sets_is_its_own(replicas: Replicas, change: str) -> None:
    """RULES 3.2: a tenant's schema or role holds for the handler's statements, not for the kit's, nor for the next."""
    await replicas.sql("DO $$ BEGIN CREATE ROLE h_tenant; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    store = await replicas.start("boot", settings=PostgresSettings(postgres_pool=1))
    async with store.transaction() as tx:
        before = (await (await tx.db()).execute(text(STANDS))).one()
        await tx.write([ending("first")])
    async with store.transaction() as tx:
        db = await tx.db()
        await db.execute(text(change))
        changed = (await db.execute(text(STANDS))).one()
        [written] = await tx.write([ending("second")])
        assert written.won
        assert (await db.execute(text(STANDS))).one() == changed
    async with store.transaction() as tx:
        assert (await (await tx.db()).execute(text(STANDS))).one() == before
    found = await store.inbox([key_of("first"), key_of("second")])
    assert len(found) == 2
