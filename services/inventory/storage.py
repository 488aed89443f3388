"""The reservations that stand, and those given back."""

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

tables = MetaData()
reservations = Table(
    "reservations",
    tables,
    Column("order_id", String, primary_key=True),
    Column("reservation_id", String, nullable=False),
    Column("sku", String, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("released", Boolean, nullable=False, default=False),
)


async def note_reservation(db: AsyncConnection, order_id: str, reservation_id: str, sku: str, quantity: int) -> None:
    """Write down a reservation."""
    await db.execute(
        insert(reservations).values(order_id=order_id, reservation_id=reservation_id, sku=sku, quantity=quantity)
    )


async def note_release(db: AsyncConnection, order_id: str) -> None:
    """Write down that the goods were given back; a reservation that inventory never knew to stand has no row."""
    await db.execute(update(reservations).where(reservations.c.order_id == order_id).values(released=True))
