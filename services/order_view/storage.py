"""The two tables of the view and their queries. Each takes the table in which the asked generation of it stands."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Index,
    Insert,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.order_view.domain import Line, Order, Payment, Shipping, State, Stock

tables = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


#: Each order as far as it has been heard of; one whose `placed_at` is empty is in no list.
order_table = Table(
    "orders",
    tables,
    Column("order_id", String, primary_key=True),
    *map(_text, ("placed_at", "customer_id", "flow", "sku")),
    Column("quantity", Integer, nullable=False),
    Column("total_cents", Integer, nullable=False),
    *map(_text, ("state", "payment", "stock", "shipping", "reason", "cancelled_by", "changed_at")),
)
Index("orders_by_time", order_table.c.placed_at, order_table.c.order_id)
Index("orders_by_customer", order_table.c.customer_id, order_table.c.placed_at, order_table.c.order_id)
#: What happened to each order, and to each customer beside the orders.
line_table = Table(
    "lines",
    tables,
    Column("key", String, primary_key=True),
    *map(_text, ("at", "type", "text", "flow", "order_id", "customer_id", "delivery")),
)
Index("lines_by_time", line_table.c.at, line_table.c.key)
Index("lines_by_order", line_table.c.order_id)
Index("lines_by_customer", line_table.c.customer_id)

#: The name of the parameter that says which row is meant.
WANTED = "wanted"
#: Where a page ends: the moment and the name of its last row.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders; what is empty does not count. Moments are RFC 3339 in UTC with all digits."""

    state: str = ""
    customer_id: str = ""
    since: str = ""  # placed then or later
    before: str = ""  # placed earlier than that


async def order(db: AsyncConnection, orders: FromClause, order_id: str) -> Order | None:
    """One order; None where nothing was heard of it."""
    row = (await db.execute(_one(orders), {WANTED: order_id})).one_or_none()
    return _order(row) if row is not None else None


async def put(db: AsyncConnection, orders: Table, order: Order, *, new: bool) -> None:
    """Write an order, a new one or one that stands there. Facts about one order come one after the other."""
    await db.execute(_added(orders) if new else _changed(orders), asdict(order) | {WANTED: order.order_id})


async def note(db: AsyncConnection, lines: Table, line: Line) -> None:
    """Write a line, once."""
    await db.execute(_noted(lines), asdict(line) | {WANTED: line.key})


# Statements are made once for each generation of a table: a fact costs three of them, and none is compiled again.


@cache
def _one(orders: FromClause) -> Select[Any]:
    return select(orders).where(orders.c.order_id == bindparam(WANTED))


@cache
def _added(orders: Table) -> Insert:
    return insert(orders).values({each.name: bindparam(each.name) for each in orders.c})


@cache
def _changed(orders: Table) -> Update:
    values: dict[str, Any] = {each.name: bindparam(each.name) for each in orders.c if not each.primary_key}
    return update(orders).where(orders.c.order_id == bindparam(WANTED)).values(values)


@cache
def _noted(lines: Table) -> Insert:
    """In one statement: none where a line of this key stands."""
    known = exists().where(lines.c.key == bindparam(WANTED))
    row = select(*(bindparam(each.name, type_=each.type) for each in lines.c)).where(~known)
    return insert(lines).from_select([each.name for each in lines.c], row)


async def page(
    db: AsyncConnection, orders: FromClause, wanted: Filter, after: Place | None, limit: int
) -> Sequence[Order]:
    """At most `limit` orders behind `after`, the newest first: what is placed or changes meanwhile moves no row."""
    may = [orders.c.placed_at != ""]
    for value, true in (
        (wanted.state, orders.c.state == wanted.state),
        (wanted.customer_id, orders.c.customer_id == wanted.customer_id),
        (wanted.since, orders.c.placed_at >= wanted.since),
        (wanted.before, orders.c.placed_at < wanted.before),
    ):
        if value:
            may.append(true)
    if after is not None:
        may.append(tuple_(orders.c.placed_at, orders.c.order_id) < tuple_(*after))
    asked = select(orders).where(and_(*may)).order_by(orders.c.placed_at.desc(), orders.c.order_id.desc())
    return [_order(row) for row in await db.execute(asked.limit(limit))]


async def history(
    db: AsyncConnection, orders: FromClause, lines: FromClause, customer_id: str, after: Place | None, limit: int
) -> Sequence[Line]:
    """At most `limit` lines of a customer behind `after`, the newest first."""
    theirs = select(orders.c.order_id).where(orders.c.customer_id == customer_id)
    of_them = or_(lines.c.customer_id == customer_id, lines.c.order_id.in_(theirs))
    return await _lines(db, lines, of_them, after, limit)


async def every_line(
    db: AsyncConnection, lines: FromClause, type: str, after: Place | None, limit: int
) -> Sequence[Line]:
    """At most `limit` lines of anybody about one type of event, or about all; the newest first."""
    return await _lines(db, lines, lines.c.type == type if type else lines.c.key != "", after, limit)


async def _lines(
    db: AsyncConnection, lines: FromClause, wanted: ColumnElement[bool], after: Place | None, limit: int
) -> Sequence[Line]:
    asked = select(lines).where(wanted)
    if after is not None:
        asked = asked.where(tuple_(lines.c.at, lines.c.key) < tuple_(*after))
    rows = await db.execute(asked.order_by(lines.c.at.desc(), lines.c.key.desc()).limit(limit))
    return [Line(**row._mapping) for row in rows]


def _order(row: Row[tuple[object, ...]]) -> Order:
    values = dict(row._mapping)
    states = {
        "state": State(values["state"]),
        "payment": Payment(values["payment"]),
        "stock": Stock(values["stock"]),
        "shipping": Shipping(values["shipping"]),
    }
    return Order(**{**values, **states})
