"""Keeps how many letters are in each state, and a mark that changes with every change of a letter."""

from collections import Counter
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.named_values import set_value
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
    await set_value(db, marks, LETTERS, uuid4().hex)
