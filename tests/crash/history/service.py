"""The service that is killed: one handler a round that hears history, and a projection that is rebuilt.

`CRASH_ROUNDS` names the handlers. Rows have no key of their own, so that an event heard twice stands there twice.
"""

import os

from aiohttp import web
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, update

from hocket import Heard, Service, Tx


class Noted(Heard, type="crash.noted"):
    """One event, by its number."""

    number: int


tables = MetaData()
kept = Table(
    "kept", tables, Column("n", Integer, primary_key=True), Column("round", Integer, nullable=False),
    Column("number", Integer, nullable=False),
)  # fmt: skip
marks = Table("marks", tables, Column("n", Integer, primary_key=True), Column("number", Integer, nullable=False))
total = Table("total", tables, Column("id", Integer, primary_key=True), Column("many", Integer, nullable=False))

archive: Service[None] = Service("archive", owner="team-crash", tables=tables)


def _hear(number_of_round: int) -> None:
    @archive.handler(since="first", name=f"keep{number_of_round}")
    async def keep(noted: Noted, tx: Tx) -> None:
        await (await tx.db()).execute(insert(kept).values(round=number_of_round, number=noted.number))


for _round in range(int(os.environ.get("CRASH_ROUNDS", "0"))):
    _hear(_round)


@archive.projection(marks, total)
async def view(noted: Noted, tx: Tx) -> None:
    """Every event once in `marks`, and counted in `total`: one without the other is a wrong answer."""
    db, sums = await tx.db(), tx.table(total)
    await db.execute(insert(tx.table(marks)).values(number=noted.number))
    if not (await db.execute(update(sums).values(many=sums.c.many + 1))).rowcount:
        await db.execute(insert(sums).values(id=1, many=1))


async def read(_: web.Request) -> web.Response:
    """`GET /view`: what one snapshot holds: rows, different ones, and their sum as the handler counted it."""
    async with archive.reading(view) as found:
        rows, sums = found.table(marks), found.table(total)
        several = select(func.count(), func.count(rows.c.number.distinct())).select_from(rows)
        many, different = (await found.db.execute(several)).one()
        counted = await found.db.scalar(select(sums.c.many)) or 0
    return web.json_response({"rows": many, "different": different, "counted": counted})


@archive.http
def mount(app: web.Application) -> None:
    """Put the route on the service's port."""
    app.router.add_get("/view", read)
