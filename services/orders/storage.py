"""The orders table and its queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, MetaData, Row, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.orders.domain import Cancelling, NewOrder, OrderState, before

tables = MetaData()
order_table = Table(
    "orders",
    tables,
    # in order of arrival, for pages
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("order_id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    # why it was cancelled, by whom, and in which flow; empty while it is not
    Column("reason", String, nullable=False, default=""),
    Column("cancelled_by", String, nullable=False, default=""),
    Column("cancelled_in", String, nullable=False, default=""),
    Column("flow", String, nullable=False),
    Column("placed_at", String, nullable=False),  # RFC 3339, UTC
    Column("customer", String, nullable=False),
    Column("email", String, nullable=False),
    Column("sku", String, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("total_cents", Integer, nullable=False),
    Column("fingerprint", String, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it stands."""

    number: int
    order_id: str
    state: OrderState
    reason: str
    cancelled_by: str
    cancelled_in: str
    flow: str
    placed_at: str
    customer: str
    email: str
    sku: str
    quantity: int
    total_cents: int
    fingerprint: str


async def add(db: AsyncConnection, order_id: str, new: NewOrder, *, flow: str, placed_at: str) -> Order:
    """Write a new order as placed, and return it."""
    values = new.model_dump(exclude={"card"})
    added = await db.execute(
        insert(order_table)
        .values(
            order_id=order_id,
            state=OrderState.PLACED,
            flow=flow,
            placed_at=placed_at,
            fingerprint=new.fingerprint(),
            **values,
        )
        .returning(order_table)
    )
    return _order(added.one())


async def find(db: AsyncConnection, order_id: str) -> Order | None:
    """The order of this id; None where there is none."""
    row = (await db.execute(select(order_table).where(order_table.c.order_id == order_id))).one_or_none()
    return _order(row) if row is not None else None


async def move(db: AsyncConnection, order_id: str, to: OrderState) -> Order | None:
    """Move an order on and return it; None where it does not stand before that state, or is not there."""
    return await _move(db, order_id, before(to), state=to.value)


async def cancel(
    db: AsyncConnection, order_id: str, by: Cancelling, reason: str, *, flow: str, unless: OrderState | None = None
) -> Order | None:
    """Cancel an order and return it; None where it is cancelled already, has come as far as `unless`, or is not there.

    One statement, so that of two who cancel at the same moment one does.
    """
    states = before(unless or OrderState.CANCELLED)
    return await _move(
        db, order_id, states, state=OrderState.CANCELLED.value, reason=reason, cancelled_by=by.value, cancelled_in=flow
    )


async def page(db: AsyncConnection, after: int, limit: int) -> list[Order]:
    """At most `limit` orders that arrived after number `after`, in order of arrival."""
    rows = await db.execute(
        select(order_table).where(order_table.c.number > after).order_by(order_table.c.number).limit(limit)
    )
    return [_order(row) for row in rows]


async def _move(db: AsyncConnection, order_id: str, states: Sequence[OrderState], **values: str) -> Order | None:
    moved = await db.execute(
        update(order_table)
        .where(order_table.c.order_id == order_id, order_table.c.state.in_([each.value for each in states]))
        .values(**values)
        .returning(order_table)
    )
    row = moved.one_or_none()
    return _order(row) if row is not None else None


def _order(row: Row[tuple[object, ...]]) -> Order:
    values = dict(row._mapping)
    return Order(**{**values, "state": OrderState(values["state"])})
