"""Takes the token of an ordered subscription and looks at its lines: rare, so the same for every database."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.store.ordering.lines import Line
from hocket.store.ordering.sql import parked_row
from hocket.store.port import Store
from hocket.store.records import OutboxRow
from hocket.store.tables.ordering import LINES, ORDER, PARKED

#: Subjects that are asked for in one statement.
ASKED_AT_ONCE = 100
#: Parked deliveries that leave in one transaction when a subscription is no longer ordered.
FREED_AT_ONCE = 200


class Taken(NamedTuple):
    """A token that was taken, the subjects that had a line then, and the highest place in them."""

    token: int
    subjects: frozenset[str]
    place: int


async def take(store: Store, subscription: str, boot: str, now: float, seen: int) -> Taken | None:
    """Take the token after `seen` (0: there was none); None where another was taken meanwhile.

    From its commit on no run under an older one can commit. `StoreError`: the outcome is unknown, and
    it is taken again.
    """
    async with store.transaction() as tx:
        db = await tx.db()
        row = ORDER.c.subscription == subscription
        token = seen + 1
        if not seen:
            values = {"subscription": subscription, "token": token, "boot": boot, "updated": now}
            try:
                async with db.begin_nested():
                    await db.execute(insert(ORDER).values(values))
            except IntegrityError:
                return None
        else:
            moved = await db.execute(
                update(ORDER).where(row, ORDER.c.token == seen).values(token=token, boot=boot, updated=now)
            )
            if moved.rowcount != 1:
                return None
        subjects = (await db.execute(select(LINES.c.subject).where(LINES.c.subscription == subscription))).scalars()
        place = await db.execute(select(func.max(PARKED.c.place)).where(PARKED.c.subscription == subscription))
        return Taken(token, frozenset(subjects.all()), place.scalar_one_or_none() or 0)


async def lined_subjects(store: Store, subscription: str) -> frozenset[str]:
    """All subjects that have a line, committed state."""
    async with store.read() as db:
        found = await db.execute(select(LINES.c.subject).where(LINES.c.subscription == subscription))
        return frozenset(found.scalars().all())


async def token_of(store: Store, subscription: str) -> int:
    """The token that counts now; 0: none was ever taken."""
    async with store.read() as db:
        found = await db.execute(select(ORDER.c.token).where(ORDER.c.subscription == subscription))
        return int(found.scalar_one_or_none() or 0)


async def lines_of(store: Store, subscription: str, subjects: Collection[str]) -> Mapping[str, Line]:
    """The lines that these subjects have, committed state."""
    found: dict[str, Line] = {}
    asked = sorted(subjects)
    async with store.read() as db:
        for start in range(0, len(asked), ASKED_AT_ONCE):
            some = asked[start : start + ASKED_AT_ONCE]
            mine = select(LINES).where(LINES.c.subscription == subscription, LINES.c.subject.in_(some))
            for _, subject, head, death, waiting, since in (await db.execute(mine)).all():
                found[subject] = Line(bytes(head), death, waiting, since)
    return found


class Blocked(NamedTuple):
    """Subjects of a subscription whose head is dead: how many, what waits behind them, the age of the oldest."""

    subjects: int = 0
    waiting: int = 0
    since: float = 0.0  # seconds since 1970 by the store's clock; 0: none


async def blocked(store: Store) -> Mapping[str, Blocked]:
    """The blocked subjects of each subscription that has some."""
    sums = select(LINES.c.subscription, func.count(), func.sum(LINES.c.waiting), func.min(LINES.c.since))
    async with store.read() as db:
        rows = (await db.execute(sums.where(LINES.c.death != "").group_by(LINES.c.subscription))).all()
    return {subscription: Blocked(many, int(waiting), since) for subscription, many, waiting, since in rows}


async def ordered_before(store: Store) -> frozenset[str]:
    """The subscriptions whose token was ever taken, by identity."""
    async with store.read() as db:
        return frozenset((await db.execute(select(ORDER.c.subscription))).scalars().all())


async def free_next(db: AsyncConnection, subscription: str) -> list[OutboxRow]:
    """Take some parked deliveries of a subscription that is no longer ordered; with the last its lines end."""
    mine = PARKED.c.subscription == subscription
    found = await db.execute(select(PARKED).where(mine).order_by(PARKED.c.place).limit(FREED_AT_ONCE))
    rows = [parked_row(tuple(row))[1] for row in found.all()]
    if rows:
        await db.execute(delete(PARKED).where(mine, PARKED.c.key.in_([row.inbox_key for row in rows])))
    else:
        await db.execute(delete(LINES).where(LINES.c.subscription == subscription))
    return rows


async def forget(store: Store, subscription: str) -> None:
    """Remove what is parked, the lines and the token of a subscription that nobody hears any more. `StoreError`."""
    left = True
    while left:
        async with store.transaction() as tx:
            db = await tx.db()
            left = bool(await free_next(db, subscription))
            if not left:
                await db.execute(delete(ORDER).where(ORDER.c.subscription == subscription))
