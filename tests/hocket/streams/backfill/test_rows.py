"""The rows of backfills: written first by one, and changed by whoever saw them as they are (RULES 7.5 a)."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Offset
from hocket.store.sqlite.store import SqliteStore
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import Backfill, Phase

ROW = Backfill("shop.history", "id", start=7, next=7, anchor="a")


@pytest.fixture(params=["sqlite", "postgres"])
async def rows(request: pytest.FixtureRequest) -> AsyncIterator[BackfillRows]:
    """Rows of a new database."""
    made: CrashableStore
    if request.param == "sqlite":
        made = SqliteStore(":memory:", clock=SystemClock(), boot="b")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        made = PostgresStore(server.url(), clock=SystemClock(), boot="b", schema=f"backfill_{uuid4().hex}")
    await made.open()
    yield BackfillRows(made)
    await made.close()


async def test_the_first_one_notes_it(rows: BackfillRows) -> None:
    """RULES 7.5 a: of two processes that start at once one says where it begins."""
    await rows.note(ROW)
    await rows.note(ROW._replace(id="other", start=9))
    assert await rows.of("shop.history") == ROW
    assert await rows.all() == {"shop.history": ROW}
    assert await rows.of("shop.other") is None


async def test_who_saw_another_row_changes_nothing(rows: BackfillRows) -> None:
    """RULES 7.5: a reader that was overtaken is fenced, and a person's decision stands."""
    await rows.note(ROW)
    mine = ROW._replace(holder="boot-1")
    assert await rows.write(ROW, mine)
    assert not await rows.write(ROW, ROW._replace(holder="boot-2"))
    assert await rows.write(mine, mine._replace(phase=Phase.FAILED, holder=""))
    assert not await rows.write(mine, mine._replace(next=20))
    assert (await rows.of("shop.history")) == ROW._replace(phase=Phase.FAILED)


async def test_where_the_patrol_begins_is_written_with_the_cut_over(rows: BackfillRows) -> None:
    """RULES 7.5 e: or neither."""
    await rows.note(ROW)
    assert await rows.write(ROW, ROW._replace(phase=Phase.LIVE), ("patrol", Offset(8, "boot/7/m")))
    assert not await rows.write(ROW, ROW._replace(next=20), ("patrol", Offset(20, "boot/19/m")))
    async with rows.store.transaction() as tx:
        assert await tx.offset("patrol") == Offset(8, "boot/7/m")
