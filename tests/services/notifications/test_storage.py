"""The mails table."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from services.notifications import storage
from services.notifications.domain import Mail
from tests.services.databases import database

MAIL = Mail("ada@example.com", "welcome", "lead/ada@example.com", "Welcome", "Hello")


async def test_a_mail_is_noted_once_for_its_key(address: str) -> None:
    """A second note under the same key is refused by the database itself."""
    async with database(storage.tables, address) as db:
        await storage.note_mail(db, "k1", MAIL)
        assert [tuple(row) for row in await db.execute(select(storage.mails))] == [
            ("k1", "lead/ada@example.com", "welcome")
        ]
        with pytest.raises(IntegrityError):
            await storage.note_mail(db, "k1", MAIL)
