"""Which contact in the customer system came from which flow."""

from sqlalchemy import Column, MetaData, String, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

tables = MetaData()
contacts = Table(
    "contacts",
    tables,
    Column("key", String, primary_key=True),  # the key handed to the customer system
    Column("flow", String, nullable=False),
    Column("contact_id", String, nullable=False),
)


async def note_contact(db: AsyncConnection, key: str, flow: str, contact_id: str) -> None:
    """Write down a contact."""
    await db.execute(insert(contacts).values(key=key, flow=flow, contact_id=contact_id))
