"""Deliveries that fail at their commit, for ever: every so many sales, at one handler of `shelf` that is made for it.

`CRASH_REFUSED_EVERY=20` in a process's environment: of about one sale in twenty `shelf.file` writes a row whose parent
does not exist, which only the commit refuses. Nothing of that attempt may stand; after its attempts a letter says why.
For all other sales the handler does nothing. Without the variable no commit is refused.
"""

import os
import zlib
from collections.abc import Iterable

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

#: The variable, and what a run sets it to.
VARIABLE, EVERY = "CRASH_REFUSED_EVERY", 20
#: Whose letters there must be, and why.
SUBSCRIPTION, CAUSE = "shelf.file", "IntegrityError"


def chosen(sale: str, every: int) -> bool:
    """Whether the commit of this sale's filing is refused; by its name alone, so that the checker knows it too."""
    return every > 0 and zlib.crc32(sale.encode()) % every == 0


def here(sale: str) -> bool:
    """The same by this process's environment."""
    return chosen(sale, int(os.environ.get(VARIABLE, "0")))


def add_tables(metadata: MetaData) -> Table:
    """The table whose rows need a folder that nobody makes; that is looked at when the transaction commits."""
    Table("folders", metadata, Column("id", Integer, primary_key=True))
    return Table(
        "files",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("sale", String, nullable=False),
        Column("folder", ForeignKey("folders.id", deferrable=True, initially="DEFERRED"), nullable=False),
    )


async def file_without_folder(db: AsyncConnection, files: Table, sale: str) -> None:
    """Write what the commit refuses."""
    await db.execute(insert(files).values(sale=sale, folder=0))


def expected(sales: Iterable[str], every: int) -> set[str]:
    """The sales of which there must be one letter each."""
    return {sale for sale in sales if chosen(sale, every)}
