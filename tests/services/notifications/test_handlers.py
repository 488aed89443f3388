"""Mailing as plain functions."""

from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from hocket.testing import fake_tx
from services.notifications import storage
from services.notifications.domain import Mail
from services.notifications.events import LeadCaptured, OrderCancelled, OrderConfirmed
from services.notifications.handlers import tell_customer, welcome


class Post:
    """A mail system that takes everything, or nothing."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[tuple[str, str, str]] = []

    async def send(self, mail: Mail, *, key: str) -> None:
        """See `services.notifications.service.Post`."""
        if self.error:
            raise self.error
        self.sent.append((mail.to, mail.kind, key))


async def test_each_event_is_one_mail_under_the_stable_key() -> None:
    """Sent and noted."""
    cancelled = OrderCancelled(order_id="A1", email="ada@example.com", reason="no stock", by="shop")
    events: list[tuple[Any, Any, str]] = [
        (tell_customer, OrderConfirmed(order_id="A1", email="ada@example.com"), "confirmation"),
        (
            tell_customer,
            cancelled,
            "apology",
        ),
        (welcome, LeadCaptured(email="ada@example.com", campaign=""), "welcome"),
    ]
    for handler, event, kind in events:
        post = Post()
        tx = fake_tx(uses=post, tables=storage.tables)
        await handler(event, tx)
        assert post.sent == [("ada@example.com", kind, tx.idempotency_key)]
        rows = (await (await tx.db()).execute(select(storage.mails.c.key, storage.mails.c.kind))).all()
        assert [tuple(row) for row in rows] == [(tx.idempotency_key, kind)]


async def test_a_mail_system_that_fails_is_tried_again() -> None:
    """The failure goes up to the retries, and nothing is noted."""
    tx = fake_tx(uses=Post(aiohttp.ClientConnectionError()), tables=storage.tables)
    with pytest.raises(aiohttp.ClientConnectionError):
        await welcome(LeadCaptured(email="ada@example.com", campaign=""), tx)
    assert not (await (await tx.db()).execute(select(storage.mails))).all()
