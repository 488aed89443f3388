"""The charges that stand, and those given back."""

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

tables = MetaData()
charges = Table(
    "charges",
    tables,
    Column("order_id", String, primary_key=True),
    Column("charge_id", String, nullable=False),
    Column("total_cents", Integer, nullable=False),
    Column("refund_id", String, nullable=False, default=""),
)


async def note_charge(db: AsyncConnection, order_id: str, charge_id: str, total_cents: int) -> None:
    """Write down a charge."""
    await db.execute(insert(charges).values(order_id=order_id, charge_id=charge_id, total_cents=total_cents))


async def note_refund(db: AsyncConnection, order_id: str, refund_id: str) -> None:
    """Write down that the charge was given back; a charge that payments never knew to stand has no row."""
    await db.execute(update(charges).where(charges.c.order_id == order_id).values(refund_id=refund_id))
