"""Named values in a console's database: a table with the columns `name`, its primary key, and `value`."""

from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_into(db: AsyncConnection, table: Table) -> Any:
    """An INSERT in this database's dialect, which has `on_conflict_…`; only that dialect is imported."""
    if db.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


async def value_of(db: AsyncConnection, table: Table, name: str) -> str:
    """The value of this name; "" where there is none."""
    return await db.scalar(select(table.c.value).where(table.c.name == name)) or ""


async def set_value(db: AsyncConnection, table: Table, name: str, value: str) -> None:
    """Set the value of this name."""
    adding = insert_into(db, table).values(name=name, value=value)
    await db.execute(adding.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
