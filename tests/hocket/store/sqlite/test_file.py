"""What SQLite adds to the contract: one file, one process, disks that fill up, processes that are killed."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import TextClause, insert, select, text

from hocket.clock import SystemClock
from hocket.errors import ConfigError, StoreError
from hocket.store.port import Store
from hocket.store.records import Ending
from hocket.store.sqlite.store import QUICK_KEYS, SqliteStore
from hocket.testing.store_contract.fixtures import TABLES, THINGS, ending, key_of, near, outbox_row, routing
from tests.hocket.store.migrations.earlier_ledger import TO_SQLITE

#: Seconds in which another process must have answered.
PATIENCE = 60.0

CHILD = """
import asyncio, sys
from hocket.clock import SystemClock
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract.fixtures import TABLES, THINGS, ending, outbox_row
from sqlalchemy import insert

async def main(path):
    store = SqliteStore(path, clock=SystemClock(), boot="child")
    await store.open(TABLES)
    await store.commit([ending("committed", outbox=[outbox_row("committed")])])
    async with store.transaction() as tx:
        await tx.write([ending("open", outbox=[outbox_row("open")])])
        await (await tx.db()).execute(insert(THINGS).values(name="open"))
        print("written", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def opened(path: Path, boot: str = "boot") -> AsyncIterator[SqliteStore]:
    """A store on this file, closed at the end."""
    store = SqliteStore(str(path), clock=SystemClock(), boot=boot)
    await store.open(TABLES)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that holds `shop.db`, in the middle of a transaction."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path / "shop.db"), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await process.stdout.readline() == b"written\n"
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


def test_it_is_a_store() -> None:
    """The driver has the port's signatures."""
    store: Store = SqliteStore(":memory:", clock=SystemClock(), boot="boot")
    assert store is not None


async def test_file_of_a_living_process(tmp_path: Path, child: asyncio.subprocess.Process) -> None:
    """RULES 3.3: one process holds a file: a second one is told which file, held by whom, and the way out."""
    second = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="second")
    with pytest.raises(ConfigError, match=rf"shop\.db is held by process {child.pid}: .*PostgreSQL"):
        await second.open()


async def test_killed_between_write_and_commit(tmp_path: Path, child: asyncio.subprocess.Process) -> None:
    """RULES 3.1: SIGKILL between write and commit leaves nothing of it, and everything committed before."""
    child.send_signal(signal.SIGKILL)
    await child.wait()
    async with opened(tmp_path / "shop.db") as store:
        await store.take_over()
        assert set(await store.inbox([key_of("committed"), key_of("open")])) == {key_of("committed")}
        assert routing(await store.due(0, 10)) == ["committed"]
        async with store.read() as db:
            assert (await db.execute(select(THINGS))).all() == []


async def test_same_process_twice(tmp_path: Path) -> None:
    """RULES 3.3: the lock also keeps two services of one process apart, and is free again after `close`."""
    path = tmp_path / "deep" / "shop.db"
    async with opened(path):
        with pytest.raises(ConfigError, match=f"held by process {os.getpid()}"):
            await SqliteStore(str(path), clock=SystemClock(), boot="second").open()
    async with opened(path):
        pass


async def test_not_a_database(tmp_path: Path) -> None:
    """A file that is something else is named, and the lock is free again."""
    path = tmp_path / "shop.db"
    path.write_bytes(b"these are the minutes of the last meeting" * 100)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"shop\.db is not an SQLite database: name another file"):
            await SqliteStore(str(path), clock=SystemClock(), boot="boot").open()


async def test_locked_by_a_shell(tmp_path: Path) -> None:
    """Another program's lock is a `ConfigError` at the start and a `StoreError` later; nothing is written."""
    path = tmp_path / "shop.db"
    async with opened(path) as store:
        shell = sqlite3.connect(path, isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"shop\.db is locked by another program: close what holds it"):
            await store.commit([ending("a")])
        shell.execute("ROLLBACK")
        assert [written.won for written in await store.commit([ending("a")])] == [True]
    shell.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigError, match="is locked by another program"):
        await SqliteStore(str(path), clock=SystemClock(), boot="boot").open()
    shell.close()


async def test_a_renewal_asks_for_no_lock_where_there_is_nothing_to_take(tmp_path: Path) -> None:
    """RULES 4.1: an application's open transaction on the file is no fault of the store, however long it lasts."""
    store = SqliteStore(str(tmp_path / "store.db"), clock=SystemClock(), boot="boot")
    await store.open(TABLES)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert await store.renew()
        assert await store.take_over() == 0
        other.execute("ROLLBACK")
    finally:
        other.close()
        await store.close()


async def test_disk_full(tmp_path: Path) -> None:
    """A full disk is a `StoreError` for the kit and for a handler; when there is room again the store goes on."""
    async with opened(tmp_path / "shop.db") as store:
        await store._writer.call(lambda connection: connection.execute("PRAGMA max_page_count = 1"))
        big = outbox_row("big")
        rows = tuple(big for _ in range(2000))
        with pytest.raises(StoreError, match=r"cannot grow, the disk is full: free some space"):
            await store.commit([Ending(outbox=rows)])
        with pytest.raises(StoreError, match="rolled this transaction back after an earlier error"):
            await _fill(store)
        await store._writer.call(lambda connection: connection.execute("PRAGMA max_page_count = 1000000"))
        await store.commit([ending("a")])
        async with store.read() as db:
            assert (await db.execute(select(THINGS))).all() == []


async def _fill(store: SqliteStore) -> None:
    async with store.transaction() as tx:
        db = await tx.db()
        await db.execute(insert(THINGS).values(name="small"))
        try:
            await db.execute(insert(THINGS).values(name="x" * 1_000_000))
        except StoreError:  # SQLite has rolled back by itself: nothing more may be written one by one
            await db.execute(insert(THINGS).values(name="after"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder without the right to write is named."""
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="give this user the right to write the folder"):
        await SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="boot").open()


async def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is named."""
    (tmp_path / "var").write_text("")
    with pytest.raises(ConfigError, match=r"var/shop\.db cannot be locked"):
        await SqliteStore(str(tmp_path / "var" / "shop.db"), clock=SystemClock(), boot="boot").open()


async def test_tables_of_a_later_hocket(tmp_path: Path) -> None:
    """RULES 10.3: tables of a later hocket are refused only where they say that this one is too old for them."""
    path = tmp_path / "shop.db"
    async with opened(path):
        pass
    with sqlite3.connect(path) as shell:
        shell.execute("UPDATE hocket_meta SET value = '99' WHERE name = 'schema'")
    shell.close()
    async with opened(path) as store:  # it says that this hocket may go on with them
        await store.commit([ending("a")])
    with sqlite3.connect(path) as shell:
        shell.execute("UPDATE hocket_meta SET value = '98' WHERE name = 'least'")
    shell.close()
    with pytest.raises(ConfigError, match="tables of schema 99 that need a hocket of schema 98 or later"):
        await SqliteStore(str(path), clock=SystemClock(), boot="boot").open()


def _shape(path: Path) -> list[object]:
    columns = "SELECT m.name, t.name, t.type FROM sqlite_master m JOIN pragma_table_info(m.name) t ORDER BY 1, t.cid"
    with sqlite3.connect(path) as shell:
        shape: list[object] = shell.execute(columns).fetchall()
    shell.close()
    return shape


#: What makes tables of this schema those of an earlier one.
EARLIER = {
    1: "DROP TABLE hocket_owners; UPDATE hocket_meta SET value = 1; DELETE FROM hocket_meta WHERE name = 'least';",
    2: "ALTER TABLE hocket_owners DROP COLUMN wait; UPDATE hocket_meta SET value = 2 WHERE name = 'schema';",
}
BACK = TO_SQLITE + "DROP INDEX hocket_outbox_waits; ALTER TABLE hocket_outbox DROP COLUMN wait;"


@pytest.mark.parametrize("schema", EARLIER)
async def test_tables_of_an_earlier_hocket(tmp_path: Path, schema: int) -> None:
    """RULES 10.3: tables of each earlier schema are led on at the start; what stands in them stays."""
    path, fresh = tmp_path / "shop.db", tmp_path / "fresh.db"
    async with opened(path) as store:
        await store.commit([ending("kept", outbox=[outbox_row("kept"), outbox_row("later", wait=90)])])
    shell = sqlite3.connect(path)
    shell.executescript(BACK + EARLIER[schema])
    shell.close()
    for _ in range(2):
        async with opened(path, "next") as store:
            await store.take_over()
            assert await store.inbox([key_of("kept")])
            assert routing(await store.due(0, 10)) == ["kept"]
            assert await store.next_due() == near(90)
    async with opened(fresh):
        pass
    assert _shape(path) == _shape(fresh)


async def test_migrations_are_loaded_only_where_needed(tmp_path: Path) -> None:
    """A start without anything to migrate does not load Alembic: it would cost each start its time."""
    code = (
        "import asyncio, sys; from hocket.clock import SystemClock; from hocket.store.sqlite.store import SqliteStore\n"
        "store = SqliteStore(sys.argv[1], clock=SystemClock(), boot='boot')\n"
        "asyncio.run(store.open()); print('alembic' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "shop.db"), stdout=subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert said == b"False\n"


@pytest.mark.parametrize("inline", [True, False])
async def test_memory(inline: bool) -> None:
    """`:memory:` is a database of its own for each store, and leaves no file behind."""
    stores = [SqliteStore(":memory:", clock=SystemClock(), boot="boot", inline=inline) for _ in range(2)]
    for store in stores:
        await store.open(TABLES)
    await stores[0].commit([ending("a")])
    assert set(await stores[0].inbox([key_of("a")])) == {key_of("a")}
    assert await stores[1].inbox([key_of("a")]) == {}
    folder = Path(stores[0]._path).parent
    assert folder.exists()
    for store in stores:
        await store.close()
    assert not folder.exists()


async def test_durable_settings(tmp_path: Path) -> None:
    """RULES 3.3: write-ahead log, synchronous FULL, foreign keys; readers cannot write."""
    async with opened(tmp_path / "shop.db") as store, store.transaction() as tx:
        db = await tx.db()
        for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "query_only": 0}.items():
            assert (await db.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value
        async with store.read() as reading:
            assert (await reading.execute(text("PRAGMA query_only"))).scalar_one() == 1


async def test_statement_beyond_the_lease_is_interrupted(tmp_path: Path) -> None:
    """RULES 3.3: a statement that runs on beyond the lease is stopped, so that the next writer need not wait for it."""
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    async with opened(tmp_path / "shop.db") as store, asyncio.timeout(PATIENCE):
        with pytest.raises(StoreError, match="longer than"):
            await _run(store, endless)
        await store.commit([ending("a")])


async def test_cancelled_in_a_long_statement(tmp_path: Path) -> None:
    """RULES 3.3: a handler that is timed out inside a statement leaves neither the lease nor a transaction."""
    long = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n")
    async with opened(tmp_path / "shop.db") as store, asyncio.timeout(PATIENCE):
        begun = asyncio.Event()
        task = asyncio.create_task(_run(store, long, lease=10, begun=begun))
        await begun.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.commit([ending("a")])
        async with store.read() as db:
            assert (await db.execute(select(THINGS))).all() == []


async def _run(
    store: SqliteStore, statement: TextClause, lease: float = 0.05, begun: asyncio.Event | None = None
) -> None:
    async with store.transaction(lease) as tx:
        db = await tx.db()
        await db.execute(insert(THINGS).values(name="lost"))
        if begun is not None:
            begun.set()
        await db.execute(statement)


async def test_few_keys_are_looked_up_without_the_thread(tmp_path: Path) -> None:
    """A look-up of few keys is answered while the thread of look-ups is at work; many keys wait for it."""
    async with opened(tmp_path / "shop.db") as store:
        await store.commit([ending("a")])
        busy = threading.Event()
        store._lookups.post(lambda _: busy.wait(PATIENCE))
        try:
            assert list(await store.inbox([key_of("a"), key_of("b")])) == [key_of("a")]
            many = asyncio.create_task(
                store.inbox([key_of(str(number)) for number in range(QUICK_KEYS)] + [key_of("a")])
            )
            await asyncio.sleep(0)
            assert not many.done()
        finally:
            busy.set()
        assert list(await many) == [key_of("a")]


async def test_a_look_up_that_would_wait_goes_to_the_thread(tmp_path: Path) -> None:
    """What cannot be read at once (a lock, an interrupt) is asked for again where waiting holds nobody up."""
    async with opened(tmp_path / "shop.db") as store:
        await store.commit([ending("a")])
        await store._quick_lookups.call(lambda connection: connection.set_progress_handler(lambda: 1, 1))
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            await store._quick_lookups.call(
                lambda connection: connection.execute("SELECT * FROM hocket_inbox").fetchall()
            )
        assert list(await store.inbox([key_of("a")])) == [key_of("a")]
