"""A handler that misuses SQLite fails by itself: its attempts are counted, and nobody else notices (RULES 3.2)."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import SystemClock
from hocket.delivery.blame import SPARED
from hocket.errors import HocketError, TransactionLost
from hocket.store.errors import ENDED_BY_HAND
from hocket.store.handler_connection import CONTROL_REFUSAL
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract.fixtures import ending
from tests.hocket.store.culprits import Act, Culprits, orphan, parents


async def _own_file_is_locked(db: AsyncConnection) -> None:
    raise sqlite3.OperationalError("database is locked")


async def _attaches_a_file(db: AsyncConnection) -> None:
    await db.execute(text("ATTACH ':memory:' AS mine"))


async def _raises(db: AsyncConnection) -> None:
    raise OperationalError("SELECT 1", None, sqlite3.OperationalError("disk I/O error, says the team"))


async def _locks_the_connection(db: AsyncConnection) -> None:
    await db.execute(text("PRAGMA query_only = ON"))


async def _commits_behind_a_comment(db: AsyncConnection) -> None:
    await db.execute(text("-- mine\n/* too */ COMMIT"))


async def _commits_by_a_cursor(db: AsyncConnection) -> None:
    raw = (await db.get_raw_connection()).driver_connection
    assert raw is not None
    await raw.cursor().execute("COMMIT")


async def _commits_past_everything(db: AsyncConnection) -> None:
    raw = (await db.get_raw_connection()).driver_connection
    assert raw is not None
    await raw._run(lambda connection: connection.execute("COMMIT"))


async def _invalidates(db: AsyncConnection) -> None:
    with suppress(HocketError):
        await db.invalidate()


async def _rolls_back_by_a_conflict(db: AsyncConnection) -> None:
    await db.execute(insert(parents).values(id=77))
    try:
        await db.execute(text("INSERT OR ROLLBACK INTO parents (id) VALUES (77)"))
    except Exception:  # noqa: BLE001 -- a team's code may swallow anything
        return


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (_own_file_is_locked, "database is locked"),
        (_attaches_a_file, "ATTACH changes the one connection"),
        (_raises, "says the team"),
        (_locks_the_connection, "PRAGMA query_only"),
        (orphan, "COMMIT"),
        (_commits_behind_a_comment, CONTROL_REFUSAL),
        (_commits_by_a_cursor, CONTROL_REFUSAL),
        (_commits_past_everything, ENDED_BY_HAND),
        (_invalidates, CONTROL_REFUSAL),
        (_rolls_back_by_a_conflict, "rolled this transaction back"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
@pytest.mark.parametrize("step", [False, True], ids=["plain", "step"])
async def test_it_is_its_own(tmp_path: Path, act: Act, says: str, step: bool) -> None:
    """RULES 3.2: attempts are used, then a letter says why; neighbours run once, the service stays ready."""
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="boot-1")
    culprits = Culprits(store, act, step=step)
    await culprits.run()
    said = culprits.judge()
    assert says in said
    if says in {CONTROL_REFUSAL, ENDED_BY_HAND}:
        assert f"culprits.{'toll' if step else 'ring'} (culprits.py:" in said


async def test_a_temporary_table_does_not_reach_the_next_handler(tmp_path: Path) -> None:
    """RULES 3.2: all handlers share one connection, and what one of them left on it is removed at its commit."""
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="boot-1")
    await store.open()
    left = text("SELECT count(*) FROM sqlite_temp_master")
    try:
        for statement in ("CREATE TEMP TABLE mine (n int)", "create temporary view mine as select 1"):
            async with store.transaction() as tx:
                db = await tx.db()
                await db.execute(text(statement))
                assert (await db.execute(left)).scalar_one() == 1
                await tx.write([ending(statement)])
            async with store.transaction() as tx:
                assert (await (await tx.db()).execute(left)).scalar_one() == 0
    finally:
        await store.close()


async def test_what_may_pass_is_spared_a_bounded_number_of_times(tmp_path: Path) -> None:
    """RULES 3.2: what the database ended for a reason that may pass goes again at no cost, and then it counts."""
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="boot-1")

    async def loses(db: AsyncConnection) -> None:
        try:
            raise TransactionLost("the file is locked by another program")
        except TransactionLost as error:
            raise RuntimeError("wrapped by the team") from error

    culprits = Culprits(store, loses)
    await culprits.run()
    assert "wrapped by the team" in culprits.judge(spared=SPARED)
