"""A whole service on a PostgreSQL that fails it in every way: it ends healed, nothing is lost, nothing is twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, insert, text, update

from deploy.database.server import PostgresServer
from hocket import Event, Heard, Service, Tx
from hocket.assembly import Assembly, StartedService
from hocket.config import Config
from hocket.errors import StoreError

PATIENCE = 60.0
#: Events of one test.
MOVES = 48
#: Two that take the same shelves in opposite order; each other takes its own, then that of the next.
OPPOSED = ("0", "1")
#: How often the server refuses what a tripwire lies on.
TRIPS = 7

tables = MetaData()
shelves = Table(
    "shelves", tables, Column("number", Integer, primary_key=True), Column("count", Integer, nullable=False)
)
done = Table("done", tables, Column("name", String, primary_key=True))
adding = update(shelves).where(shelves.c.number == bindparam("shelf")).values(count=shelves.c.count + 1)


class Stocked(Event, type="shelf.stocked", subject="move/{name}"):
    """Something came for two shelves."""

    name: str
    first: int
    second: int


class Moved(Event, type="shelf.moved", subject="move/{name}"):
    """It was."""

    name: str


class StockedHeard(Heard, type="shelf.stocked"):
    """The same, as it is heard."""

    name: str
    first: int
    second: int


class Meeting:
    """Where the first runs of two moves wait for each other once both hold a shelf; nobody waits long."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)
        self._left = set(OPPOSED)
        self.tripped = False  # whether handlers call what the server refuses

    async def wait(self, name: str) -> None:
        """For the other, where this is one of them."""
        if name in self._left:
            self._left.discard(name)
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                async with asyncio.timeout(5):
                    await self._barrier.wait()


@asynccontextmanager
async def meeting() -> AsyncIterator[Meeting]:
    """One for the service."""
    yield Meeting()


mover = Service("mover", owner="team-stock", tables=tables, uses=meeting)
mover.says(Stocked)


@mover.handler(timeout=timedelta(seconds=30))
async def move(event: StockedHeard, tx: Tx[Meeting]) -> Moved:
    """Both shelves and the note, or nothing."""
    db = await tx.db()
    await db.execute(adding, {"shelf": event.first})
    await tx.use.wait(event.name)
    await db.execute(adding, {"shelf": event.second})
    if tx.use.tripped:
        await db.execute(text("SELECT trip()"))
    await db.execute(insert(done).values(name=event.name))
    return Moved(name=event.name)


class Stock:
    """The running service, and its database from outside."""

    def __init__(self, server: PostgresServer, database: str, part: StartedService) -> None:
        self.server, self.database, self.part = server, database, part

    async def sql(self, statement: str) -> str:
        """Beside the service."""
        return await asyncio.to_thread(self.server.sql, statement, self.database)

    @property
    def use(self) -> Meeting:
        """What its handlers use."""
        found: Meeting = self.part.worker.handling.use
        return found

    async def trip(self, code: str) -> None:
        """From now on `trip()` raises this SQLSTATE, `TRIPS` times in all; a sequence is not rolled back."""
        await self.sql("CREATE SEQUENCE trips")
        await self.sql(
            "CREATE FUNCTION trip() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('trips') <= {TRIPS} THEN RAISE EXCEPTION 'tripped' USING ERRCODE = '{code}'; END IF; "
            "RETURN 0; END $$"
        )

    async def say(self, number: int) -> None:
        """Say one move, again and again until the database takes it, each under its own key."""
        first, second = number, 0 if str(number) == OPPOSED[1] else number + 1
        while True:
            try:
                async with mover.tx(key=f"move-{number}") as tx:
                    tx.say(Stocked(name=str(number), first=first, second=second))
                return
            except StoreError:
                await asyncio.sleep(0.05)

    async def count(self) -> int:
        """How many moves are done."""
        return int(await self.sql("SELECT count(*) FROM done"))

    async def until(self, least: int) -> None:
        """Return when so many moves are done."""
        async with asyncio.timeout(PATIENCE):
            while await self.count() < least:  # noqa: ASYNC110 -- it stands in a database
                await asyncio.sleep(0.1)

    async def healed(self) -> None:
        """All moves are done once, said once, at the first attempt; nothing died, and the service is ready."""
        await self.until(MOVES)
        async with asyncio.timeout(PATIENCE):
            while self.part.worker.health() or not self.part.worker.idle():  # noqa: ASYNC110 -- no moment to wait for
                await asyncio.sleep(0.05)
        assert await self.sql("SELECT sum(count) FROM shelves") == str(2 * MOVES)
        ended = "SELECT state, attempt, count(*), count(DISTINCT said) FROM hocket_inbox"
        ended += " WHERE subscription = 'mover.move' GROUP BY state, attempt"
        assert await self.sql(ended) == f"handled|1|{MOVES}|{MOVES}"
        assert await self.sql("SELECT count(*) FROM hocket_outbox WHERE kind <> 'receipt'") == "0"


@asynccontextmanager
async def running(postgres: PostgresServer, config: Config | None = None) -> AsyncIterator[Stock]:
    """A service at work on a database of its own, on a broker in memory; the server runs again afterwards."""
    name = f"stock_{uuid4().hex}"
    here = {"broker_url": "memory://", "database_url": postgres.add_database(name), "http_host": "127.0.0.1"}
    assembly = Assembly((config or Config()).model_copy(update=here))
    made = Stock(postgres, name, await assembly.start(mover, 0))
    await made.sql("INSERT INTO shelves SELECT n, 0 FROM generate_series(0, 1000) n")
    async with asyncio.timeout(PATIENCE):
        while made.part.worker.health():  # noqa: ASYNC110 -- no moment to wait for
            await asyncio.sleep(0.02)
    try:
        yield made
    finally:
        postgres.start()
        await assembly.close()
        postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def stock(postgres: PostgresServer) -> AsyncIterator[Stock]:
    """The service at work."""
    async with running(postgres) as made:
        yield made


async def work(stock: Stock) -> None:
    """Say all moves, several at once."""
    for start in range(0, MOVES, 12):
        await asyncio.gather(*(stock.say(number) for number in range(start, start + 12)))


async def test_handlers_that_deadlock(stock: Stock) -> None:
    """RULES 3.2: PostgreSQL ends a deadlock by rolling one transaction back; that run goes again, as no attempt."""
    await work(stock)
    await stock.healed()
    assert int(await stock.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")) > 0


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_a_handlers_statement_is_refused_in_favour_of_another(stock: Stock, code: str) -> None:
    """RULES 3.2: a serialization failure or a deadlock inside a handler costs no attempt and leaves no half."""
    await stock.trip(code)
    stock.use.tripped = True
    await work(stock)
    await stock.healed()


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize("table", ["hocket_inbox", "hocket_outbox"])
async def test_the_kits_own_statement_is_refused_in_favour_of_another(stock: Stock, code: str, table: str) -> None:
    """RULES 3.2: the same of what the kit writes, at a commit and where events are said or their rows deleted."""
    await stock.trip(code)
    await stock.sql(
        "CREATE FUNCTION tripwire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM trip(); "
        "RETURN coalesce(NEW, OLD); END $$"
    )
    await stock.sql(
        f"CREATE TRIGGER tripwire BEFORE INSERT OR UPDATE OR DELETE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION tripwire()"
    )
    await work(stock)
    await stock.healed()
    assert int(await stock.sql("SELECT last_value FROM trips")) > TRIPS


async def test_connections_that_die_under_load(stock: Stock) -> None:
    """RULES 3.2: whatever connection dies at whatever moment, its work is done again and once."""
    working = asyncio.create_task(work(stock))
    ends = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'hocket'"
    for part in range(1, 6):
        await stock.until(part * MOVES // 8)
        await stock.sql(f"{ends} AND datname = current_database()")
    await working
    await stock.healed()


async def test_a_server_that_restarts_under_load(stock: Stock) -> None:
    """RULES 3.2: a server that dies and comes back, again and again, loses nothing and doubles nothing."""
    working = asyncio.create_task(work(stock))
    for part in range(1, 4):
        await stock.until(part * MOVES // 6)
        await asyncio.to_thread(stock.server.restart)
    await working
    await stock.healed()


async def test_a_pool_that_is_too_small(postgres: PostgresServer) -> None:
    """RULES 3.2: handlers that get no connection in time go again, as no attempt; the kit's own pool goes on."""
    async with running(postgres, Config(postgres_pool=1, postgres_pool_seconds=1)) as made:
        working = asyncio.create_task(work(made))
        async with asyncio.timeout(PATIENCE):
            while "gave no connection" not in made.part.worker.committer.failing:  # noqa: ASYNC110 -- bounded above
                await asyncio.sleep(0.01)
        await working
        await made.healed()
