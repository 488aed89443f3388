# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""A PostgreSQL server that goes away, restarts, has no connection left or refuses a value (RULES 3.2)."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from deploy.database.server import PostgresServer
from hocket import Retry, Scheduled, Service, Tx
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.errors import ConfigError, HocketError, StoreError
from hocket.outcome import Word
from hocket.setting_groups import PostgresSettings
from hocket.store.port import Store
from hocket.store.postgres import pools, schema
from hocket.store.postgres.errors import handler_error, kit_error
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Ending
from hocket.telemetry.signals import Signals
from hocket.testing.store_contract.fixtures import TABLES, THINGS, ending, key_of, outbox_row
from hocket.worker import Worker
from tests.flows.two_services import Notes
from tests.hocket.sample_services import Rung, Tolled, World, message_of, until, uses
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas, insist
from tests.tcp_proxy import TcpProxy


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own; the server runs again afterwards."""
    async with Replicas(postgres) as made:
        yield made
        postgres.start()


def test_it_is_a_store() -> None:
    """The driver has the port's signatures."""
    store: Store = PostgresStore("postgresql://user:word@host/shop", clock=SystemClock(), boot="boot")
    assert store is not None


async def test_restarted_under_load(replicas: Replicas) -> None:
    """RULES 3.2: a server that is stopped at once and started again loses nothing and doubles nothing."""
    stores = [await replicas.start(f"boot-{n}") for n in range(2)]
    done: set[str] = set()
    stop = asyncio.Event()

    async def load(n: int) -> None:
        count = 0
        while not stop.is_set():
            group = [f"{n}-{count + i}" for i in range(5)]
            await insist(stores[n % 2], [ending(name, outbox=[outbox_row(name)]) for name in group])
            done.update(group)
            count += 5

    tasks = [asyncio.create_task(load(n)) for n in range(4)]
    async with asyncio.timeout(3 * PATIENCE):
        for round in range(3):
            while len(done) < 60 * (round + 1):  # noqa: ASYNC110 -- bounded above
                await asyncio.sleep(0.01)
            await asyncio.to_thread(replicas.server.restart)
        stop.set()
        await asyncio.gather(*tasks)
    said = await replicas.sql("SELECT count(*), count(DISTINCT routing_key) FROM hocket_outbox")
    assert said == f"{len(done)}|{len(done)}"
    assert set(await stores[0].inbox([key_of(name) for name in done])) == {key_of(name) for name in done}


async def test_rows_of_an_unknown_outcome_are_told(replicas: Replicas) -> None:
    """RULES 3.2, 4.1: after a commit whose outcome is unknown `take_over` says that the store may hold more."""
    store = await replicas.start("boot-1")
    assert await store.take_over() == 0
    await asyncio.to_thread(replicas.server.kill)
    with pytest.raises(StoreError):
        await store.commit([ending("a")])
    await asyncio.to_thread(replicas.server.start)
    await insist(store, [ending("a")])
    assert await store.take_over() > 0
    assert await store.take_over() == 0


async def test_server_away(replicas: Replicas) -> None:
    """RULES 3.2: without a server everything is a `StoreError` that names it; when it is back all goes on."""
    store = await replicas.start("boot-1")
    async with store.transaction() as tx:
        await tx.write([ending("before")])
    await asyncio.to_thread(replicas.server.stop)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"database postgresql://hocket@127\.0\.0\.1:\d+/postgres "):
            await store.commit([])
        with pytest.raises(StoreError, match="database postgresql"):
            async with store.transaction() as tx:
                await (await tx.db()).execute(insert(THINGS).values(name="lost"))
        with pytest.raises(StoreError, match="database postgresql"):
            async with store.read() as db:
                await db.execute(text("SELECT 1"))
        with pytest.raises(StoreError):
            await store.renew()
    await asyncio.to_thread(replicas.server.start)
    async with store.transaction() as tx:
        await (await tx.db()).execute(insert(THINGS).values(name="kept"))
        await tx.write([ending("after")])
    async with store.read() as db:
        assert (await db.execute(text("SELECT name FROM things"))).scalars().all() == ["kept"]
    assert len(await store.inbox([key_of("before"), key_of("after")])) == 2
    assert await store.renew()


async def test_connection_dies_inside_a_transaction(replicas: Replicas) -> None:
    """RULES 3.2: what was written before the connection died is not there, and that is the store's fault."""
    store = await replicas.start("boot-1")
    with pytest.raises(StoreError):
        async with store.transaction() as tx:
            db = await tx.db()
            await db.execute(insert(THINGS).values(name="lost"))
            pid = (await db.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await replicas.sql(f"SELECT pg_terminate_backend({pid})")
            await db.execute(insert(THINGS).values(name="after"))
    async with store.transaction() as tx:
        await (await tx.db()).execute(insert(THINGS).values(name="kept"))
    async with store.read() as reading:
        assert (await reading.execute(text("SELECT name FROM things"))).scalars().all() == ["kept"]


def test_a_connection_that_ends_as_a_statement_begins() -> None:
    """RULES 3.2: what asyncpg says of a connection that the server has just ended is the store's fault, no attempt."""
    error = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    assert isinstance(kit_error("database", error), StoreError)
    assert isinstance(handler_error("database", error), StoreError)


async def test_a_server_that_falls_silent(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 3.2: where nothing comes back any more, at a commit or a read, that is a `StoreError` within a bound."""
    monkeypatch.setattr(pools, "READ_SECONDS", 0.5)
    settings = PostgresSettings(postgres_connect_seconds=0.5, postgres_statement_seconds=0.5)
    proxy = TcpProxy(replicas.server.port)
    await proxy.up()
    url = replicas.server.url().replace(f":{replicas.server.port}", f":{proxy.port}")
    store = PostgresStore(url, clock=SystemClock(), boot="boot", schema=replicas.schema, settings=settings)
    await store.open(TABLES)
    async with asyncio.timeout(PATIENCE):
        async with store.read() as db:
            await db.execute(text("SELECT 1"))
        with pytest.raises(StoreError):
            async with store.transaction() as tx:
                await tx.write([ending("unknown")])
                proxy.freeze()
        with pytest.raises(StoreError):
            async with store.read() as db:
                await db.execute(text("SELECT 1"))
        with pytest.raises(StoreError):
            await store.commit([ending("silent")])
        proxy.heal()
        proxy.cut()
        await insist(store, [ending("unknown")])
        await insist(store, [ending("silent")])
        assert len(await store.inbox([key_of("unknown"), key_of("silent")])) == 2
        await store.close()
    await proxy.stop()


async def test_nul_is_the_rows_own_fault(replicas: Replicas) -> None:
    """RULES 3.2: data that PostgreSQL refuses raise no `StoreError`, while an empty write succeeds."""
    store = await replicas.start("boot-1")
    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        await store.commit([ending("good"), ending("bad", outbox=[outbox_row("nul \x00 inside")])])
    await store.commit([])
    assert await store.inbox([key_of("good"), key_of("bad")]) == {}
    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        async with store.transaction() as tx:
            await tx.write([Ending(outbox=(outbox_row("nul \x00 inside"),))])


@pytest.mark.parametrize("way", ["its own write", "what it says"])
async def test_nul_ends_its_own_delivery_and_pauses_nobody(replicas: Replicas, way: str) -> None:
    """RULES 3.2: through a whole service: failed attempts, a letter; its neighbours are handled and intake goes on."""
    clock, chance, world, notes = SystemClock(), random.Random(1), World(), Notes()

    async def scribble(rung: Rung, tx: Tx[World]) -> Scheduled[Tolled]:
        text = "nul \x00 inside" if rung.name == "bad" else "plain"
        if way == "its own write":
            await (await tx.db()).execute(insert(THINGS).values(name=text))
            text = "plain"
        return Scheduled(Tolled(name=rung.name), after=timedelta(days=1), key=text)

    made = Service("scribes", owner="team-tower", uses=uses, tables=TABLES)

    @made.handler(retry=Retry(retries=1, first=timedelta(milliseconds=50)))
    async def scribe(rung: Rung, tx: Tx[World]) -> Scheduled[Tolled]:
        tx.use.attempts.append(tx.attempt)
        return await scribble(rung, tx)

    broker = MemoryBroker(clock=clock)
    worker = Worker(
        made.using(world), store=replicas.make("boot-1"), transport=MemoryTransport(broker, "scribes"),
        signals=Signals([notes]), clock=clock, chance=chance, boot="boot-1", config=Config.model_construct(),
        version="test",
    )  # fmt: skip
    await worker.start()
    post = MemoryTransport(broker, "post")
    await post.open()
    try:
        await until(lambda: not worker.health(), PATIENCE)
        await post.publish([message_of(Rung(name=name), name, clock) for name in ("k1", "bad", "k2", "k3")])
        await until(lambda: bool(broker.messages(DEAD)), PATIENCE)
        await until(lambda: worker.idle() and broker.depth("scribes.scribe") == 0, PATIENCE)
        [letter] = broker.messages(DEAD)
        assert b'"name":"bad"' in letter.body
        assert letter.headers["hocket-death-attempt"] == 2
        assert sorted(world.attempts) == [1, 1, 1, 1, 2]
        assert notes.attempts_of("scribes.scribe") == {Word.HANDLED: 3, Word.RETRY: 1, Word.DEAD: 1}
        assert (await worker.runtime.store.waiting()).later == 3
        assert not [each for each in notes.troubles if "the store does not answer" in each]
    finally:
        await worker.stop()
        await post.close()


async def test_a_statement_that_the_caller_gives_up_blames_nobody(replicas: Replicas) -> None:
    """RULES 3.2: a timeout of the handler is the handler's `TimeoutError`, in a transaction and in a read."""
    store = await replicas.start("boot-1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), store.transaction() as tx:
            await (await tx.db()).execute(text("SELECT pg_sleep(60)"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), store.read() as db:
            await db.execute(text("SELECT pg_sleep(60)"))
    await store.commit([ending("goes on")])


async def test_no_connection_left(replicas: Replicas) -> None:
    """RULES 3.2, 3.3: an exhausted pool is a `StoreError` for the one that waits; the kit's own pool goes on."""
    small = PostgresSettings(postgres_pool=1, postgres_pool_seconds=0.2)
    store = await replicas.start("boot-1", settings=small)
    async with store.transaction() as tx:
        await tx.write([ending("holds")])
        with pytest.raises(StoreError, match=r"gave no connection in 0\.2 s"):
            async with store.transaction() as other:
                await other.write([ending("waits")])
        await store.commit([ending("kit")])
    async with store.transaction() as other:
        await other.write([ending("waits")])
    assert len(await store.inbox([key_of(name) for name in ("holds", "waits", "kit")])) == 3


async def test_swallowed_failure_is_the_handlers_own(replicas: Replicas) -> None:
    """RULES 3.2: a handler that swallows a failed statement is told of `begin_nested`; the store is not to blame."""
    store = await replicas.start("boot-1")
    with pytest.raises(HocketError, match="begin_nested") as raised:
        async with store.transaction() as tx:
            db = await tx.db()
            await db.execute(insert(THINGS).values(id=1, name="one"))
            with pytest.raises(IntegrityError):
                await db.execute(insert(THINGS).values(id=1, name="twice"))
            await tx.write([ending("a")])
    assert not isinstance(raised.value, StoreError)
    assert await store.inbox([key_of("a")]) == {}


async def test_swallowed_failure_at_the_end(replicas: Replicas) -> None:
    """RULES 3.1: also where nothing is written after it the commit does not pass for one."""
    store = await replicas.start("boot-1")
    with pytest.raises(HocketError, match="begin_nested"):
        async with store.transaction() as tx:
            db = await tx.db()
            await tx.write([ending("a")])
            with pytest.raises(IntegrityError):
                await db.execute(text("INSERT INTO things (id, name) VALUES (1, 'x'), (1, 'y')"))
    assert await store.inbox([key_of("a")]) == {}


@pytest.mark.parametrize(
    ("broken", "says"),
    [("password", "refuses this user: check name and password"), ("database", "does not exist: create it")],
)
async def test_what_forbids_the_start(replicas: Replicas, broken: str, says: str) -> None:
    """A wrong password or database is one sentence with the address, without the password."""
    server = replicas.server
    url = server.url("nowhere") if broken == "database" else server.url().replace(server.password, "guessed")
    with pytest.raises(ConfigError, match=says) as raised:
        await PostgresStore(url, clock=SystemClock(), boot="boot").open()
    assert server.password not in str(raised.value)
    assert "guessed" not in str(raised.value)


async def test_no_server_at_the_start(replicas: Replicas) -> None:
    """An address that nobody answers is named, and can be opened once somebody does."""
    await asyncio.to_thread(replicas.server.stop)
    store = replicas.make("boot")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:\d+/postgres does not answer"):
            await store.open(TABLES)
        with pytest.raises(StoreError):
            await store.commit([])
    await asyncio.to_thread(replicas.server.start)
    await store.open(TABLES)
    await store.commit([ending("a")])
    assert await store.inbox([key_of("a")])
    await store.close()


async def test_a_standby_at_the_start(replicas: Replicas) -> None:
    """A server that takes no writes may become the primary: it is waited for, its tables' own errors are not."""
    url, standby = replicas.server.url(), f"standby_{replicas.schema}"
    await asyncio.to_thread(replicas.server.add_database, standby)
    await replicas.sql(f"ALTER DATABASE {standby} SET default_transaction_read_only = on")
    store = PostgresStore(url.replace("/postgres", f"/{standby}"), clock=SystemClock(), boot="boot")
    with pytest.raises(StoreError, match="takes no writes"):
        await store.open()
    await replicas.sql(f"ALTER DATABASE {standby} RESET default_transaction_read_only")
    await store.open()
    await store.close()


async def test_a_cut_start_leaves_nothing_behind(replicas: Replicas) -> None:
    """RULES 10.3: a start that is cancelled while another makes the tables holds neither connection nor lock."""
    url = replicas.server.url()
    holder = await asyncpg.connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({schema._LOCK})")
    opening = asyncio.create_task(replicas.make("boot").open(TABLES))
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hocket'"
    async with asyncio.timeout(PATIENCE):
        while not await holder.fetchval(mine):  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.02)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        while await holder.fetchval(mine):  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.02)
    await holder.close()
    await replicas.start("boot")
