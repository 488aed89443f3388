"""Reads and writes the rows of backfills; each write compares what it changes (RULES 7.5 a)."""

from dataclasses import dataclass

from sqlalchemy import Row, select, text, update

from hocket.store.port import Store
from hocket.store.records import Offset
from hocket.store.sql import names_of
from hocket.store.tables.backfills import BACKFILLS
from hocket.streams.backfill.state import Backfill, Phase

_NAMES = names_of(BACKFILLS)
_NOTE = text(
    f"INSERT INTO hocket_backfills ({', '.join(_NAMES)}) VALUES ({', '.join(f':{name}' for name in _NAMES)}) "  # noqa: S608 -- names of columns
    "ON CONFLICT (subscription) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class BackfillRows:
    """The rows of one service; each call raises `StoreError` where the store does not answer."""

    store: Store

    async def all(self) -> dict[str, Backfill]:
        """Every row, by the first name of its subscription."""
        async with self.store.read() as db:
            rows = [_row(each) for each in await db.execute(select(BACKFILLS))]
        return {each.subscription: each for each in rows}

    async def of(self, subscription: str) -> Backfill | None:
        """One row."""
        async with self.store.read() as db:
            found = (await db.execute(select(BACKFILLS).where(BACKFILLS.c.subscription == subscription))).first()
        return None if found is None else _row(found)

    async def note(self, row: Backfill) -> None:
        """Write a new one, unless another process has."""
        async with self.store.transaction() as tx:
            await (await tx.db()).execute(_NOTE, row._asdict())

    async def write(self, was: Backfill, to: Backfill, place: tuple[str, Offset] | None = None) -> bool:
        """Change one that still is as it was; False: another process or a person has changed it.

        `place` is where a reader of the log begins then, in the same transaction.
        """
        columns = BACKFILLS.c
        same = (columns.subscription == was.subscription) & (columns.id == was.id) & (columns.phase == was.phase)
        same &= (columns.holder == was.holder) & (columns.next == was.next) & (columns.letters == was.letters)
        changed = {name: value for name, value in to._asdict().items() if value != getattr(was, name)}
        if not changed:
            return True
        async with self.store.transaction() as tx:
            done = await (await tx.db()).execute(update(BACKFILLS).where(same).values(**changed))
            if not done.rowcount:
                return False
            if place is not None:
                reader, begins = place
                await tx.advance(reader, await tx.offset(reader), begins)
        return True


def _row(found: Row[tuple[object, ...]]) -> Backfill:
    values = dict(found._mapping)
    return Backfill(**values | {"phase": Phase(values["phase"])})
