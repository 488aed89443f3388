"""Keeps how many letters are in each state, and a mark that changes with every change of a letter."""

from collections import Counter
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.keep.tables import counts, marks

#: The row of `marks` whose value is another after each change of a letter.
LETTERS = "letters"


async def count(db: AsyncConnection, change: Counter[str]) -> None:
    """Add to the kept counts, and set the mark: letters have changed."""
    for state, many in change.items():
        if many:
            added = counts.update().where(counts.c.state == state).values(many=counts.c.many + many)
            if not (await db.execute(added)).rowcount:
                await db.execute(counts.insert().values(state=state, many=many))
    await set_mark(db, LETTERS, uuid4().hex)


async def mark_of(db: AsyncConnection, name: str) -> str:
    """The value of one row of `marks`; "" where there is none."""
    return await db.scalar(sa.select(marks.c.value).where(marks.c.name == name)) or ""


async def set_mark(db: AsyncConnection, name: str, value: str) -> None:
    """Set one row of `marks`."""
    if not (await db.execute(marks.update().where(marks.c.name == name).values(value=value))).rowcount:
        await db.execute(marks.insert().values(name=name, value=value))
