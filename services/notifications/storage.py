"""The mails that went out."""

from sqlalchemy import Column, MetaData, String, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifications.domain import Mail

tables = MetaData()
mails = Table(
    "mails",
    tables,
    Column("key", String, primary_key=True),  # the key handed to the mail system
    Column("about", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
)


async def note_mail(db: AsyncConnection, key: str, mail: Mail) -> None:
    """Write down a mail; its address and text stay with the mail system."""
    await db.execute(insert(mails).values(key=key, about=mail.about, kind=mail.kind))
