"""The payments of orders: what is held, what was taken, what went back."""

from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

tables = MetaData()
payment_table = Table(
    "payments",
    tables,
    Column("order_id", String, primary_key=True),
    Column("authorisation_id", String, nullable=False),
    Column("total_cents", Integer, nullable=False),
    Column("void_id", String, nullable=False, default=""),
    Column("capture_id", String, nullable=False, default=""),
    Column("refund_id", String, nullable=False, default=""),
)


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order as it stands."""

    order_id: str
    authorisation_id: str
    total_cents: int
    void_id: str
    capture_id: str
    refund_id: str


async def note_authorisation(db: AsyncConnection, order_id: str, authorisation_id: str, total_cents: int) -> None:
    """Write down that an order's money is held."""
    await db.execute(
        insert(payment_table).values(order_id=order_id, authorisation_id=authorisation_id, total_cents=total_cents)
    )


async def find(db: AsyncConnection, order_id: str) -> Payment | None:
    """The payment of this order; None where no money was ever known to be held."""
    row = (await db.execute(select(payment_table).where(payment_table.c.order_id == order_id))).one_or_none()
    return Payment(**row._mapping) if row is not None else None


async def note_void(db: AsyncConnection, order_id: str, void_id: str) -> None:
    """Write down that the money is held no longer; where it was never known to be held there is no row."""
    await _note(db, order_id, void_id=void_id)


async def note_capture(db: AsyncConnection, order_id: str, capture_id: str) -> None:
    """Write down that the money was taken."""
    await _note(db, order_id, capture_id=capture_id)


async def note_refund(db: AsyncConnection, order_id: str, refund_id: str) -> None:
    """Write down that the money was given back."""
    await _note(db, order_id, refund_id=refund_id)


async def _note(db: AsyncConnection, order_id: str, **values: str) -> None:
    await db.execute(update(payment_table).where(payment_table.c.order_id == order_id).values(**values))
