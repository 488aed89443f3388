"""What a service keeps by name in `hocket_meta`; replicas may write the same name at the same time."""

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.store.schema import META
from hocket.store.sql import STAMP

_SET = text(STAMP.format(name=":name", value=":value"))
_SET_FIRST = text("INSERT INTO hocket_meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")


async def meta_of(db: AsyncConnection, name: str) -> str | None:
    """The value of this name."""
    value: str | None = await db.scalar(select(META.c.value).where(META.c.name == name))
    return value


async def set_meta(db: AsyncConnection, name: str, value: str) -> None:
    """Set the value of this name; the last one wins."""
    await db.execute(_SET, {"name": name, "value": value})


async def set_first(db: AsyncConnection, name: str, value: str) -> None:
    """Set the value of this name where it has none; the first one wins."""
    await db.execute(_SET_FIRST, {"name": name, "value": value})
