"""Lists, groups and counts of letters, and what services reported of owners and sensitive fields."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Masks
from hocket.console.named_values import value_of
from hocket.envelope import OVERDUE_TYPE, UNDO_TYPE
from services.deadletters.fold.state import OPEN, State
from services.deadletters.keep.counting import LETTERS
from services.deadletters.keep.tables import aside, counts, desks, letters, marks, services

#: Letters of one answer where none is asked for, and at most.
DEFAULT_LIMIT = 100
MAX_LIMIT = 500
#: While letters change, groups are worked out again after so many times the time that it took.
REST = 20.0
#: Seconds after its last heartbeat for which a desk counts as running: three of them.
HEARD_SECONDS = 30.0
#: Groups of the first page; the newest.
MAX_GROUPS = 200
#: Columns of a list: all but the body.
_LISTED = [column for column in letters.c if column.name != "body"]


async def masks_of(db: AsyncConnection) -> Masks:
    """The sensitive fields that all manifests name together."""
    rows = await db.execute(sa.select(services.c.subscriptions, services.c.says, services.c.sensitive))
    return Masks(dict(row._mapping) for row in rows)


async def owners_of(db: AsyncConnection) -> dict[str, str]:
    """Who owns each service that has reported itself."""
    return {name: owner for name, owner in await db.execute(sa.select(services.c.service, services.c.owner)) if owner}


async def counts_of(db: AsyncConnection) -> dict[str, int]:
    """Letters by state, every state named, as they were counted with each change."""
    found = {row.state: int(row.many) for row in await db.execute(sa.select(counts))}
    return {state.value: found.get(state.value, 0) for state in State}


async def find_letters(
    db: AsyncConnection, where: Mapping[str, str], *, after: int, limit: int, newest: bool
) -> list[Any]:
    """Letters of which each named column has this value, in order of arrival behind `after` (0: from the start)."""
    query = sa.select(*_LISTED).where(*(letters.c[name] == value for name, value in where.items()))
    if newest:
        query = query.where(letters.c.no < after) if after else query
        query = query.order_by(letters.c.no.desc())
    else:
        query = query.where(letters.c.no > after).order_by(letters.c.no)
    return list(await db.execute(query.limit(limit)))


class Shut(NamedTuple):
    """A breaker that is not closed, as its service last reported it."""

    name: str
    state: str
    until: str  # RFC 3339 of the next probe; "": none is told


async def shut_of(db: AsyncConnection) -> dict[str, Shut]:
    """The breakers that are not closed, by the subscription whose deliveries, and replays, wait for them."""
    found: dict[str, Shut] = {}
    for row in await db.execute(sa.select(services.c.subscriptions, services.c.breakers)):
        for each in row.subscriptions or ():
            for name in (each.get("breaker") or "", each.get("name") or ""):  # a pause has the subscription's own name
                told = (row.breakers or {}).get(name) or {}
                if told.get("state") not in {None, "closed"}:
                    found[each["name"]] = Shut(name, told["state"], told.get("until") or "")
    return found


class Groups:
    """Letters grouped by cause; grouped again when a letter has changed, at most a `REST`th of the time."""

    def __init__(self) -> None:
        self._mark: str | None = None
        self._until = 0.0
        self._found: list[Any] = []

    async def read(self, db: AsyncConnection) -> list[Any]:
        """The groups: those with open letters first, then the newest."""
        mark, now = await value_of(db, marks, LETTERS), time.monotonic()
        if mark != self._mark and now >= self._until:
            self._found, self._mark = await groups_of(db), mark
            self._until = now + REST * (time.monotonic() - now)
        return self._found


async def asides_of(db: AsyncConnection) -> int:
    """How many invalid facts were set aside."""
    return int(await db.scalar(sa.select(sa.func.count()).select_from(aside)) or 0)


async def strangers_of(db: AsyncConnection, now: datetime) -> list[str]:
    """Other desks, by instance, that take letters into a database of their own.

    A desk on this database notes itself within a second; one that was heard for longer and has not is another's.
    """
    rows = sa.select(desks.c.instance).where(
        ~desks.c.mine, desks.c.last_at > now.timestamp() - HEARD_SECONDS, desks.c.last_at - desks.c.first_at > 5.0
    )
    return sorted(await db.scalars(rows))


async def groups_of(db: AsyncConnection) -> list[Any]:
    """Letters grouped by cause: those with open ones first, then the newest."""
    pending = sa.func.sum(sa.case((letters.c.state.in_(["pending", "replaying"]), 1), else_=0))
    again = sa.func.sum(sa.case((sa.and_(letters.c.state == "pending", letters.c.again > 0), 1), else_=0))
    undo = sa.and_(letters.c.state.in_([each.value for each in OPEN]), letters.c.type == UNDO_TYPE)
    zombies = sa.func.sum(sa.case((undo, 1), else_=0))
    overdue = sa.func.sum(sa.case((letters.c.type == OVERDUE_TYPE, 1), else_=0))
    flows = sa.func.count(sa.distinct(sa.case((letters.c.correlation_id != "", letters.c.correlation_id))))
    query = (
        sa.select(
            letters.c.group_id,
            *(sa.func.min(letters.c[name]).label(name) for name in ("subscription", "service", "cause", "normal")),
            sa.func.min(letters.c.frame).label("frame"),
            sa.func.count().label("whole"),
            pending.label("open"),
            again.label("again"),
            zombies.label("zombies"),
            overdue.label("overdue"),
            flows.label("flows"),
            sa.func.min(letters.c.first_at).label("first_at"),
            sa.func.max(letters.c.last_at).label("last_at"),
            sa.func.sum(sa.case((letters.c.state == "handled", 1), else_=0)).label("handled"),
            sa.func.sum(sa.case((letters.c.state == "obsolete", 1), else_=0)).label("obsolete"),
            sa.func.sum(sa.case((letters.c.state == "discarded", 1), else_=0)).label("discarded"),
        )
        .group_by(letters.c.group_id)
        .order_by(sa.case((pending > 0, 0), else_=1), sa.desc("last_at"))
    )
    return list(await db.execute(query.limit(MAX_GROUPS)))


async def subject_found(db: AsyncConnection, wanted: str) -> str:
    """The subject of letters that this text names, whole or behind its kind; empty where there is none."""
    ends = letters.c.subject.endswith(f"/{wanted}", autoescape=True)
    query = sa.select(letters.c.subject).where(sa.or_(letters.c.subject == wanted, ends)).limit(1)
    return await db.scalar(query) or ""


def cursor(rows: Sequence[Any], limit: int) -> int | None:
    """The number of the letter after which the next page begins; None: this was the last."""
    return int(rows[-1].no) if len(rows) == limit else None


async def count_same(db: AsyncConnection, column: str, value: str | None) -> int:
    """How many letters have this value in `column`; 0 for no value."""
    if not value:
        return 0
    return await db.scalar(sa.select(sa.func.count()).select_from(letters).where(letters.c[column] == value)) or 0
