"""A ledger of schema 3 full of open runs becomes the narrow one of schema 4, at the start."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.errors import ConfigError
from hocket.saga.ledger import LedgerState
from hocket.store import schema as schema_module
from hocket.store.records import Ending
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract.fixtures import TABLES, ledger_row
from tests.hocket.store.migrations.earlier_ledger import PUT, TO_POSTGRES, TO_SQLITE, check_moved, old_rows
from tests.hocket.store.postgres.replicas import Replicas


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """A store that is closed at the end."""
    store = SqliteStore(str(path), clock=SystemClock(), boot="boot")
    await store.open()
    yield store
    await store.close()


async def test_it_moves_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 10.3: runs in every state, thousands, go on under their new names; the hocket before is refused then."""
    path = tmp_path / "shop.db"
    async with opened(path):
        pass
    shell = sqlite3.connect(path)
    shell.executescript(TO_SQLITE)
    rows = old_rows()
    with shell:
        shell.executemany(PUT.format(", ".join("?" * len(rows[0]))), rows)
    shell.close()
    for _ in range(2):
        async with opened(path) as store:
            await check_moved(store)
            await store.commit([Ending(ledger=(ledger_row("later"),))])
    monkeypatch.setattr(schema_module, "SCHEMA", 3)
    with pytest.raises(ConfigError, match="tables of schema 5 that need a hocket of schema 4 or later"):
        await SqliteStore(str(path), clock=SystemClock(), boot="boot").open()


async def test_it_moves_on_postgresql(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 10.3: runs in every state, thousands, go on under their new names; the hocket before is refused then."""
    async with Replicas(postgres) as replicas:
        first = await replicas.start("boot-1")
        rows = old_rows()
        async with first._pools.kit() as kit:
            await kit.execute(TO_POSTGRES)
            await kit.executemany(PUT.format(", ".join(f"${at}" for at in range(1, len(rows[0]) + 1))), rows)
        await first.close()
        stores = await asyncio.gather(*(replicas.start(f"next-{n}") for n in range(2)))
        await check_moved(stores[0])
        [one] = await stores[1].commit([Ending(ledger=(ledger_row("later", LedgerState.DONE),))])
        assert one.won
        await stores[0].close()
        await (await replicas.start("once more")).close()
        monkeypatch.setattr(schema_module, "SCHEMA", 3)
        with pytest.raises(ConfigError, match="tables of schema 5 that need a hocket of schema 4 or later"):
            await replicas.make("boot-3").open(TABLES)
