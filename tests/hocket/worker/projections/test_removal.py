"""The tables of a generation on a real PostgreSQL: all that a table may have, made twice and removed once."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Computed,
    Enum,
    Identity,
    Index,
    Integer,
    MetaData,
    Sequence,
    Table,
    Text,
    insert,
    select,
    text,
)  # fmt: skip
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.database.server import PostgresServer
from hocket.declarations.projections.tables import generation_table
from hocket.worker.projections.removal import drop_tables


def view_of(*kinds: str) -> Table:
    """A table with a mixed-case name, a reserved word, a sequence, an enum type, a generated column, defaults."""
    return Table(
        "Orders Of", MetaData(), Column("id", Integer, Identity(), primary_key=True),
        Column("select", Text, server_default=text("'none'"), unique=True, index=True),
        Column("at", Integer, Sequence("places")), Column("kind", Enum(*kinds, name="Kind")), Column("what", JSON),
        Column("twice", Integer, Computed("at * 2")), CheckConstraint("at > 0", name="positive"), Index("by", "kind"),
    )  # fmt: skip


@pytest.fixture
async def engine(postgres: PostgresServer) -> AsyncIterator[AsyncEngine]:
    """An engine on a database of its own."""
    address = postgres.add_database(f"removal_{uuid4().hex}")
    made = create_async_engine(address.replace("postgresql://", "postgresql+asyncpg://"))
    yield made
    await made.dispose()


@pytest.mark.postgres
async def test_a_generation_takes_its_types_with_it(engine: AsyncEngine) -> None:
    """RULES 14.1, 14.4: a version with more values of an enum stands beside the old one, and outlives it."""
    first, second = generation_table(view_of("a"), 1), generation_table(view_of("a", "b"), 2)
    types = text("SELECT typname FROM pg_type WHERE typtype = 'e' ORDER BY 1")
    async with engine.begin() as db:
        for table, kind in ((first, "a"), (second, "b")):
            await db.run_sync(table.create, checkfirst=True)
            await db.execute(insert(table).values(kind=kind, what={"n": 1}))
        assert list(await db.scalars(types)) == ["Orders Of__1_e0", "Orders Of__2_e0"]
        await drop_tables(db, [first.fullname])
        assert list(await db.scalars(types)) == ["Orders Of__2_e0"]
        row = (await db.execute(select(second))).one()
        assert (row.select, row.kind, row.what, row.twice) == ("none", "b", {"n": 1}, 2 * row.at)
        await drop_tables(db, [second.fullname, "never made"])
        assert list(await db.scalars(types)) == []
