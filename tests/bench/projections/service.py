"""The service that is measured: it counts what it hears by order, as a projection or as an ordinary handler."""

import time
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket import Service, Tx
from tests.bench.event import OrderPlaced, Placed

tables = MetaData()
orders = Table("orders", tables, Column("order_id", Text, primary_key=True), Column("many", Integer, nullable=False))


class Runs:
    """How many runs there were, and when the first began."""

    def __init__(self) -> None:
        self.many, self.first = 0, 0.0

    def add(self) -> None:
        """One more."""
        self.many += 1
        self.first = self.first or time.perf_counter()


async def count(db: AsyncConnection, table: Table, order_id: str) -> None:
    """Count one event of an order."""
    insert = (postgresql if db.dialect.name == "postgresql" else sqlite).insert(table)
    added = {"many": table.c.many + 1}
    made = insert.values(order_id=order_id, many=1)
    await db.execute(made.on_conflict_do_update(index_elements=["order_id"], set_=added))


def projecting(runs: Runs) -> Service[Any]:
    """As a projection."""
    made = Service("bench", owner="team-bench", tables=tables)
    made.says(OrderPlaced)

    @made.projection(orders)
    async def view(event: Placed, tx: Tx) -> None:
        runs.add()
        await count(await tx.db(), tx.table(orders), event.order_id)

    return made


def handling(runs: Runs) -> Service[Any]:
    """As a handler with the same write."""
    made = Service("bench", owner="team-bench", tables=tables)

    @made.handler(name="view")
    async def view(event: Placed, tx: Tx) -> None:
        runs.add()
        await count(await tx.db(), orders, event.order_id)

    return made
