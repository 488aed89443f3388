"""Entering a lead as a plain function."""

from sqlalchemy import select

from hocket.testing import fake_tx
from services.crm import storage
from services.crm.events import LeadCaptured, LeadSynced
from services.crm.handlers import enter


class Customers:
    """A customer system that takes everything."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def enter(self, lead: LeadCaptured, *, key: str) -> str:
        """See `services.crm.service.Customers`."""
        self.asked.append((lead.email, key))
        return "ct_1"


async def test_a_lead_is_entered_said_and_noted() -> None:
    """Under the stable key, with its flow."""
    customers = Customers()
    tx = fake_tx(uses=customers, tables=storage.tables)
    said = await enter(LeadCaptured(email="ada@example.com", campaign="spring"), tx)
    assert said == LeadSynced(email="ada@example.com", contact_id="ct_1")
    assert customers.asked == [("ada@example.com", tx.idempotency_key)]
    rows = (await (await tx.db()).execute(select(storage.contacts))).all()
    assert [tuple(row) for row in rows] == [(tx.idempotency_key, tx.correlation_id, "ct_1")]
