"""The parcels that the carrier has, and those that arrived or were called back."""

from dataclasses import dataclass

from sqlalchemy import Boolean, Column, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

tables = MetaData()
parcels = Table(
    "parcels",
    tables,
    Column("order_id", String, primary_key=True),
    Column("parcel_id", String, nullable=False),
    Column("flow", String, nullable=False),  # the order's, in which its delivery is told too
    Column("delivered", Boolean, nullable=False, default=False),
    Column("recalled", Boolean, nullable=False, default=False),
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel as it stands."""

    order_id: str
    parcel_id: str
    flow: str
    delivered: bool
    recalled: bool


async def note_parcel(db: AsyncConnection, order_id: str, parcel_id: str, flow: str) -> None:
    """Write down a parcel."""
    await db.execute(insert(parcels).values(order_id=order_id, parcel_id=parcel_id, flow=flow))


async def find(db: AsyncConnection, order_id: str) -> Parcel | None:
    """The parcel of this order; None where there is none."""
    row = (await db.execute(select(parcels).where(parcels.c.order_id == order_id))).one_or_none()
    return Parcel(**row._mapping) if row is not None else None


async def note_recall(db: AsyncConnection, order_id: str) -> None:
    """Write down that the parcel was called back; one that shipping never knew to be booked has no row."""
    await db.execute(update(parcels).where(parcels.c.order_id == order_id).values(recalled=True))


async def note_delivery(db: AsyncConnection, order_id: str) -> bool:
    """Write down that the parcel arrived, and tell whether it does so now: one that was called back never arrives."""
    arrived = await db.execute(
        update(parcels)
        .where(parcels.c.order_id == order_id, parcels.c.delivered.is_(False), parcels.c.recalled.is_(False))
        .values(delivered=True)
    )
    return arrived.rowcount == 1
