# ruff: noqa: S608, PT012 -- only names that these tests made are put together; a loop runs until it raises
"""Connections to PostgreSQL as people run it: behind a pooler, with several hosts, few rights, a schema of choice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import insert, text

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.errors import ConfigError, HocketError, LeaseExpired, StoreError
from hocket.setting_groups import PostgresSettings
from hocket.store.errors import Spoilt
from hocket.store.postgres.outbox_view import PostgresOutboxView
from hocket.store.postgres.store import PostgresStore
from hocket.testing.store_contract.fixtures import TABLES, THINGS, ending, key_of, outbox_row
from tests.hocket.store.postgres.contract import PostgresContract
from tests.hocket.store.postgres.pgbouncer import Mode, PgBouncer
from tests.hocket.store.postgres.replicas import PATIENCE, insist
from tests.hocket.store.postgres.standby import Standby

BY_TRANSACTION = PostgresSettings(postgres_pooling="transaction")
#: Connections of a pooler by session: those of one process and some more.
ENOUGH = 60
#: Seconds of a lease that is to run out.
SHORT = 0.3


def store_at(url: str, schema: str, settings: PostgresSettings | None = None, **more: Any) -> PostgresStore:
    """A store that is not open."""
    return PostgresStore(
        url, clock=SystemClock(), boot="boot", schema=schema, settings=settings or PostgresSettings(), **more
    )


@asynccontextmanager
async def opened(store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """The store with the contract's tables, closed at the end."""
    await store.open(TABLES)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(scope="module")
def scarce(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """A pooler by transaction with fewer connections than a store takes at once."""
    with PgBouncer(postgres, "transaction", size=4) as pooler:
        yield pooler


class TestByTransaction(PostgresContract):
    """The store keeps its contract where each transaction may run on another server process."""

    settings = BY_TRANSACTION

    @pytest.fixture(autouse=True)
    def on(self, scarce: PgBouncer) -> None:
        """The pooler that the tests share, and the server behind it."""
        type(self).server, type(self).url = scarce.server, scarce.url()


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_behind_a_pooler(postgres: PostgresServer, mode: Mode) -> None:
    """Many commits, transactions and reads at once are each done once, and nothing of them stays at the server."""
    schema = f"s{uuid4().hex}"
    settings = BY_TRANSACTION if mode == "transaction" else None
    size = 3 if mode == "transaction" else ENOUGH
    with PgBouncer(postgres, mode, size) as pooler:
        async with opened(store_at(pooler.url(), schema, settings)) as store:

            async def work(n: int) -> None:
                await store.commit([ending(f"group-{n}", outbox=[outbox_row(f"group-{n}")])])
                async with store.transaction() as tx:
                    db = await tx.db()
                    async with db.begin_nested():
                        await db.execute(insert(THINGS).values(id=n, name="thing"))
                    await tx.write([ending(f"own-{n}", outbox=[outbox_row(f"own-{n}")])])
                async with store.read() as reading:
                    found = await reading.execute(text("SELECT name FROM things WHERE id = :n"), {"n": n})
                    assert found.scalar_one() == "thing"

            async with asyncio.timeout(2 * PATIENCE):
                await asyncio.gather(*(work(n) for n in range(60)))
            for wrong in ("INSERT INTO things (id, name) VALUES (1000, 'x')", "CREATE TABLE other (id bigint)"):
                async with store.read() as reading:
                    with pytest.raises(HocketError, match="read\\(\\) gives committed data"):
                        await reading.execute(text(wrong))
        counts = f'SELECT (SELECT count(*) FROM "{schema}".things), (SELECT count(*) FROM "{schema}".hocket_outbox)'
        assert postgres.sql(counts) == "60|120"
        assert postgres.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
        async with opened(store_at(pooler.url(), schema, settings)) as again:  # nothing hangs on a lock left behind
            assert await again.inbox([key_of("own-1")])


async def test_a_pooler_that_was_not_declared_is_refused(postgres: PostgresServer) -> None:
    """One that gives each transaction another connection is found at the start, with the setting that is missing."""
    refused = pytest.raises(ConfigError, match="set HOCKET_POSTGRES_POOLING=transaction")
    with PgBouncer(postgres, "transaction") as pooler, refused:
        await store_at(pooler.url(), f"s{uuid4().hex}").open()


@pytest.mark.parametrize("settings", [None, BY_TRANSACTION])
async def test_a_pooler_by_statement_is_refused(postgres: PostgresServer, settings: PostgresSettings | None) -> None:
    """It knows no transactions: that is one sentence, not a wait for ever."""
    refused = pytest.raises(ConfigError, match="pools by statement, which knows no transactions")
    with PgBouncer(postgres, "statement") as pooler, refused:
        await store_at(pooler.url(), f"s{uuid4().hex}", settings).open()


async def test_a_pooler_that_does_not_know_the_database(postgres: PostgresServer) -> None:
    """What a pooler refuses is one sentence with the way out, and is not tried for ever."""
    with PgBouncer(postgres, "session") as pooler:
        elsewhere = pooler.url().replace("/postgres", "/elsewhere")
        with pytest.raises(ConfigError, match="is not known to the pooler: add it there"):
            await store_at(elsewhere, "").open()
        with pytest.raises(ConfigError, match="refuses a parameter of HOCKET_DATABASE_URL: take it out"):
            await store_at(pooler.url() + "?geqo=off", "").open()


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_an_expired_transaction_ends_at_the_server_too(postgres: PostgresServer, mode: Mode) -> None:
    """The pooler numbers connections by itself; a statement that runs too long is ended by the server's own number."""
    settings = BY_TRANSACTION if mode == "transaction" else None
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    with PgBouncer(postgres, mode, ENOUGH) as pooler:
        store = store_at(pooler.url(), f"s{uuid4().hex}", settings, transaction_seconds=PATIENCE)
        async with opened(store):
            with pytest.raises(LeaseExpired):
                async with store.transaction(SHORT) as tx:
                    await (await tx.db()).execute(text("SELECT pg_sleep(60)"))
            async with asyncio.timeout(SHORT * 3):  # well before the server's own time-out
                while await asyncio.to_thread(postgres.sql, running) != "0":  # noqa: ASYNC110 -- bounded above
                    await asyncio.sleep(0.02)


async def test_a_pooler_that_was_restarted(postgres: PostgresServer) -> None:
    """RULES 3.2: it is an outage of the store like another."""
    with PgBouncer(postgres, "transaction", size=3) as pooler:
        async with opened(store_at(pooler.url(), f"s{uuid4().hex}", BY_TRANSACTION)) as store:
            await store.commit([ending("before")])
            pooler.stop()
            with pytest.raises(StoreError, match="does not answer"):
                await store.commit([ending("meanwhile")])
            pooler.start()
            await insist(store, [ending("after")])
            assert set(await store.inbox([key_of(name) for name in ("before", "after")])) == {
                key_of("before"),
                key_of("after"),
            }


async def test_a_role_that_may_create_nothing(postgres: PostgresServer) -> None:
    """Where all tables stand the right to use them is enough; where they do not, one sentence says what is missing."""
    schema, role = f"s{uuid4().hex}", f"r{uuid4().hex}"
    async with opened(store_at(postgres.url(), schema)) as store:
        await store.commit([ending("first")])
    postgres.sql(
        f"CREATE ROLE {role} LOGIN PASSWORD 'word'; GRANT USAGE ON SCHEMA \"{schema}\" TO {role}; "
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO {role}; '
        f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO {role}'
    )
    url = postgres.url().replace(f"{postgres.user}:{postgres.password}@", f"{role}:word@")
    async with opened(store_at(url, schema)) as store:
        await store.commit([ending("second", outbox=[outbox_row("second")])])
        assert set(await store.inbox([key_of("first"), key_of("second")])) == {key_of("first"), key_of("second")}
    with pytest.raises(ConfigError, match="give this user the right to create and use the tables"):
        await store_at(url, f"s{uuid4().hex}").open()


async def test_a_schema_of_choice_and_the_rest_of_the_search_path(postgres: PostgresServer) -> None:
    """Tables of two schemas are apart; what stands in another schema of the user's search path is found as before."""
    one, other = f"s{uuid4().hex}", f"s{uuid4().hex}"
    postgres.sql("CREATE OR REPLACE FUNCTION public.seven() RETURNS int LANGUAGE sql AS 'SELECT 7'")
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(store_at(postgres.url(), each))) for each in (one, other)]
        await stores[0].commit([ending("a")])
        assert not await stores[1].inbox([key_of("a")])
        async with stores[0].transaction() as tx:
            assert (await (await tx.db()).execute(text("SELECT seven()"))).scalar_one() == 7
    view = PostgresOutboxView(postgres.url(), other, PostgresSettings())
    assert await asyncio.to_thread(view.rows, 10) == []


async def test_without_a_schema_the_search_path_decides(postgres: PostgresServer) -> None:
    """The first schema of the user's search path has the tables; where there is none, the sentence says so."""
    role, schema = f"r{uuid4().hex}", f"s{uuid4().hex}"
    postgres.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'word'; CREATE SCHEMA {schema} AUTHORIZATION {role}")
    url = postgres.url().replace(f"{postgres.user}:{postgres.password}@", f"{role}:word@")
    postgres.sql(f"ALTER ROLE {role} SET search_path = nowhere")
    with pytest.raises(ConfigError, match="none of the schemas in this user's search_path"):
        await store_at(url, "").open()
    postgres.sql(f"ALTER ROLE {role} SET search_path = {schema}")
    async with opened(store_at(url, "")):
        assert postgres.sql(f"SELECT count(*) FROM {schema}.hocket_meta") == "2"


@pytest.mark.parametrize("address", ["postgresql://h:port/x", "postgresql://h:1,h:2,h/x?target_session_attrs=best"])
async def test_an_address_that_the_driver_refuses(address: str) -> None:
    """It is one sentence that names the setting."""
    with pytest.raises(ConfigError, match="see HOCKET_DATABASE_URL"):
        await store_at(address, "").open()


async def test_a_parameter_that_the_server_does_not_know(postgres: PostgresServer) -> None:
    """It is one sentence that names the setting, not a missing right."""
    with pytest.raises(ConfigError, match="does not know a parameter of this address"):
        await store_at(postgres.url() + "?pool_size=5", "").open()


async def test_a_fail_over_to_the_other_host(postgres: PostgresServer, tmp_path: Path) -> None:
    """With several hosts the store goes where writes are taken, also where the old server lives on without them."""
    schema = f"s{uuid4().hex}"
    with Standby(tmp_path, postgres) as standby:
        hosts = f"127.0.0.1:{postgres.port},127.0.0.1:{standby.port}"
        url = postgres.url().replace(f"127.0.0.1:{postgres.port}", hosts) + "?target_session_attrs=read-write"
        async with opened(store_at(url, schema)) as store, asyncio.timeout(2 * PATIENCE):
            await store.commit([ending("before")])
            await standby.caught_up()
            await standby.promote()
            postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on")
            postgres.sql("SELECT pg_reload_conf()")
            try:
                with pytest.raises(StoreError, match="takes no writes"):
                    for n in count():  # until the old server has read its configuration
                        await store.commit([ending(f"meanwhile-{n}")])
                await insist(store, [ending("after")])
                async with store.transaction() as tx:
                    await (await tx.db()).execute(insert(THINGS).values(id=1, name="thing"))
            finally:
                postgres.sql("ALTER SYSTEM RESET default_transaction_read_only")
                postgres.sql("SELECT pg_reload_conf()")
            assert await store.inbox([key_of("before")])
        after = f"SELECT count(*) FROM \"{schema}\".hocket_inbox WHERE key = '\\x{key_of('after').hex()}'"
        assert (standby.sql(after), postgres.sql(after)) == ("1", "0")


LASTING = (
    "SET work_mem = '2MB'",
    "SET SESSION AUTHORIZATION DEFAULT",
    "SELECT set_config('work_mem', '2MB', false)",
    "SELECT set_config('work_mem', concat('2', 'MB'), true), set_config('TimeZone', 'Asia/Tokyo', false)",
    "RESET ALL",
    "DISCARD ALL",
    "CREATE TEMPORARY TABLE left_behind (n int)",
    "CREATE TABLE pg_temp.left_behind (n int)",
    "SELECT 1 AS n INTO TEMP left_behind",
    "SELECT pg_advisory_lock(77)",
    "SELECT pg_try_advisory_lock_shared(77)",
    "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN bells",
    "LOAD 'plpgsql'",
    "PREPARE mine AS SELECT 1",
    "DO $$ BEGIN PERFORM set_config('work_mem', '2MB', false); END $$",
)
PASSING = (
    "SET LOCAL work_mem = '2MB'",
    "SELECT set_config('work_mem', concat('2', 'MB'), true)",
    "CREATE TEMP TABLE passing (n int) ON COMMIT DROP",
    "SELECT pg_advisory_xact_lock(77)",
)
PREPARED = "(SELECT count(*) FROM pg_prepared_statements)"
REFUSED = r"this connection goes to|this transaction is hocket's"
#: What a client of the pooler finds on a server process.
FOUND = (
    "SELECT current_setting('work_mem'), current_setting('TimeZone'), "
    "(SELECT count(*) FROM pg_class WHERE relname IN ('left_behind', 'passing')), "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), "
    f"{PREPARED}, (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE is_holdable)"
)


async def test_nothing_of_a_handler_reaches_another_client_of_a_pooler(postgres: PostgresServer) -> None:
    """RULES 3.2: what would outlive the transaction on the server's process is refused; what ends with it is not."""
    with PgBouncer(postgres, "transaction", size=1) as pooler:
        before = await _as_another_client(pooler)
        async with opened(store_at(pooler.url(), f"s{uuid4().hex}", BY_TRANSACTION)) as store:
            for statement in LASTING:
                with suppress(Spoilt):  # PREPARE is refused as what may end the transaction
                    async with store.transaction() as tx:
                        with pytest.raises(HocketError, match=REFUSED):
                            await (await tx.db()).execute(text(statement))
                        await tx.write([ending(statement)])
                async with store.read() as reading:
                    with pytest.raises(HocketError, match=REFUSED):
                        await reading.execute(text(statement))
            for statement in PASSING:
                async with store.transaction() as tx:
                    await (await tx.db()).execute(text(statement))
                    await tx.write([ending(statement)])
        assert await _as_another_client(pooler) == before


async def test_what_was_done_past_hocket_is_undone_before_the_next_client(postgres: PostgresServer) -> None:
    """RULES 3.2: on the driver's own connection nothing is recognised, so the session is made afresh at its end."""
    done = "SELECT pg_advisory_lock(77); CREATE TEMP TABLE left_behind (n int); SET work_mem = '2MB'; LISTEN bells"
    with PgBouncer(postgres, "transaction", size=1) as pooler:
        before = await _as_another_client(pooler)
        async with opened(store_at(pooler.url(), f"s{uuid4().hex}", BY_TRANSACTION)) as store:
            for fails in (False, True):
                with suppress(ZeroDivisionError):
                    async with store.transaction() as tx:
                        await _past(tx, done)
                        await tx.write([ending(f"past-{fails}")])
                        assert not fails or 1 // 0
                assert await _as_another_client(pooler) == before
            assert len(await store.inbox([key_of("past-False"), key_of("past-True")])) == 1


async def test_what_was_done_past_hocket_does_not_reach_the_next_handler(postgres: PostgresServer) -> None:
    """RULES 3.2: the same where a connection is a session of its own."""
    alone, found = PostgresSettings(postgres_pool=1), FOUND.replace(PREPARED, "0")
    async with opened(store_at(postgres.url(), f"s{uuid4().hex}", alone)) as store:
        async with store.transaction() as tx:
            before = (await (await tx.db()).execute(text(found))).one()
        async with store.transaction() as tx:
            await _past(tx, "SELECT pg_advisory_lock(77); SET work_mem = '2MB'; LISTEN bells")
        async with store.transaction() as tx:
            assert (await (await tx.db()).execute(text(found))).one() == before


async def _past(tx: Any, statements: str) -> None:
    raw = (await (await tx.db()).get_raw_connection()).driver_connection
    await raw.execute(statements)


async def _as_another_client(pooler: PgBouncer) -> tuple[Any, ...]:
    """What another program finds by way of the pooler."""
    connection = await asyncpg.connect(pooler.url(), statement_cache_size=0)
    try:
        return tuple(await connection.fetchrow(FOUND))
    finally:
        await connection.close()
