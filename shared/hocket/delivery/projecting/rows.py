"""Reads and writes the rows of generations, once for every database."""

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.delivery.projecting.generations import Generation, GenerationState
from hocket.store.tables.generations import FRESH_FACTS, GENERATIONS, PROGRESS

_COLUMNS = ("projection", "n", "version", "state", "made", "watched", "forced", "changed", "since", "first", "anchor",
            "hears", "tables", "note")  # fmt: skip
_SELECT = select(*(GENERATIONS.c[name] for name in _COLUMNS)).order_by(GENERATIONS.c.projection, GENERATIONS.c.n)


async def all_rows(connection: AsyncConnection) -> dict[str, list[Generation]]:
    """The generations that are not gone, by projection."""
    found: dict[str, list[Generation]] = {}
    for row in await connection.execute(_SELECT):
        found.setdefault(row.projection, []).append(_generation(row))
    return found


async def rows_of(
    connection: AsyncConnection, projection: str, *, lock: bool = False, only: int | None = None
) -> list[Generation]:
    """The generations of one projection, by number; `lock`ed until the end of the transaction, or `only` one of them.

    Whoever changes more than one row of its own locks the one that serves, so that they are changed by one at a time.
    For that time nothing of it is handled: what may take long locks its own row `only`.
    """
    asked = _SELECT.where(GENERATIONS.c.projection == projection)
    if only is not None:
        await connection.execute(asked.where(GENERATIONS.c.n == only).with_for_update())
    return [_generation(row) for row in await connection.execute(asked.with_for_update() if lock else asked)]


async def write(
    connection: AsyncConnection, before: Sequence[Generation], after: Sequence[Generation], now: float
) -> None:
    """Write the rows that changed; `changed` is set where the state did."""
    known = {each.n: each for each in before}
    for each in after:
        old = known.get(each.n)
        changed = each.changed if old is not None and old.state is each.state else now
        values = each._replace(changed=changed)._asdict()
        values |= {name: int(values[name]) for name in ("made", "forced")}
        values |= {name: json.dumps(values[name]) for name in ("hears", "tables")} | {"state": str(each.state)}
        if old is None:
            await connection.execute(insert(GENERATIONS), values)
        else:
            await connection.execute(update(GENERATIONS).where(_is(each)), values)


async def held(connection: AsyncConnection, projection: str, n: int) -> Generation | None:
    """The row under a shared lock: whoever swaps waits until this transaction has ended (RULES 14.2)."""
    asked = _SELECT.where(GENERATIONS.c.projection == projection, GENERATIONS.c.n == n).with_for_update(read=True)
    row = (await connection.execute(asked)).first()
    return None if row is None else _generation(row)


async def note_fresh(connection: AsyncConnection, projection: str, keys: Sequence[bytes]) -> None:
    """Note what a watched generation has handled, for the comparison that goes on."""
    if keys:
        await connection.execute(insert(FRESH_FACTS), [{"projection": projection, "key": key} for key in keys])


async def forget_fresh(connection: AsyncConnection, projection: str) -> None:
    """Forget what was noted: a comparison begins anew, or is over."""
    await connection.execute(delete(FRESH_FACTS).where(FRESH_FACTS.c.projection == projection))


async def caught_up(connection: AsyncConnection, projection: str, n: int) -> float:
    """The moment of which a generation has handled all that was said; 0: it has not told."""
    asked = select(PROGRESS.c.caught_up).where(PROGRESS.c.projection == projection, PROGRESS.c.n == n)
    found = (await connection.execute(asked)).scalar()
    return found or 0.0


async def set_caught_up(connection: AsyncConnection, projection: str, n: int, moment: float) -> None:
    """It has handled all that was said until then; never earlier than what was told before."""
    mine = (PROGRESS.c.projection == projection, PROGRESS.c.n == n)
    moved = await connection.execute(
        update(PROGRESS).where(*mine, PROGRESS.c.caught_up < moment), {"caught_up": moment}
    )
    if not moved.rowcount and (await connection.execute(select(PROGRESS.c.n).where(*mine))).first() is None:
        await connection.execute(insert(PROGRESS), {"projection": projection, "n": n, "caught_up": moment})


def _is(each: Generation) -> ColumnElement[bool]:
    return and_(GENERATIONS.c.projection == each.projection, GENERATIONS.c.n == each.n)


def _generation(row: "Row[tuple[object, ...]]") -> Generation:
    values = dict(row._mapping)
    values |= {name: tuple(json.loads(values[name])) for name in ("hears", "tables")}
    values |= {name: bool(values[name]) for name in ("made", "forced")}
    return Generation(**(values | {"state": GenerationState(values["state"])}))
