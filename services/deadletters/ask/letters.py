"""Lists, groups and counts of letters, and what services reported of owners and sensitive fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Masks
from services.deadletters.fold.state import State
from services.deadletters.keep.tables import letters, services

#: Letters of one answer where none is asked for, and at most.
DEFAULT_LIMIT = 100
MAX_LIMIT = 500
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
    """Letters by state, every state named."""
    rows = await db.execute(sa.select(letters.c.state, sa.func.count().label("number")).group_by(letters.c.state))
    found: dict[str, int] = {row.state: row.number for row in rows}
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


async def groups_of(db: AsyncConnection) -> list[Any]:
    """Letters grouped by cause: those with open ones first, then the newest."""
    pending = sa.func.sum(sa.case((letters.c.state.in_(["pending", "replaying"]), 1), else_=0))
    again = sa.func.sum(sa.case((sa.and_(letters.c.state == "pending", letters.c.again > 0), 1), else_=0))
    flows = sa.func.count(sa.distinct(sa.case((letters.c.correlation_id != "", letters.c.correlation_id))))
    query = (
        sa.select(
            letters.c.group_id,
            *(sa.func.min(letters.c[name]).label(name) for name in ("subscription", "service", "cause", "normal")),
            sa.func.min(letters.c.frame).label("frame"),
            sa.func.count().label("whole"),
            pending.label("open"),
            again.label("again"),
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
