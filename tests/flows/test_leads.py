"""A lead fans out: crm and notifications hear it independently, once each."""

from services.crm.events import LeadSynced
from services.ingress.domain import NewLead
from services.ingress.events import LeadCaptured
from services.ingress.http import capture
from services.sandbox.domain import Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, shop

LEAD = NewLead(email="ada@example.com", campaign="spring")


async def test_a_lead_posted_twice_is_one_event() -> None:
    """The same delivery id again: the same flow, no second event, one welcome, one contact."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        flows = {await capture(LEAD, "d1"), await capture(LEAD, "d1")}
        await stage.quiet()
        flows.add(await capture(LEAD, "d1"))
        await stage.quiet()
        assert len(flows) == 1
        assert len(stage.said_of(LeadCaptured)) == len(stage.said_of(LeadSynced)) == 1
    assert outside.did(Target.CRM) == [Did.ENTERED]
    assert outside.mailbox() == [("ada@example.com", "welcome")]


async def test_two_deliveries_are_two_leads() -> None:
    """Another delivery id is another fact, also with the same data."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        assert await capture(LEAD, "d1") != await capture(LEAD, "d2")
        await stage.quiet()
        assert len(stage.said_of(LeadSynced)) == 2


async def test_a_customer_system_that_is_down_keeps_no_welcome_waiting() -> None:
    """The welcome goes out at once; the lead is synced when the customer system is back."""
    outside = FakeOutside()
    fault = outside.fault(Target.CRM, Kind.DOWN)
    async with shop(outside) as stage:
        await capture(LEAD, "d1")
        await stage.quiet()
        assert outside.mailbox() == [("ada@example.com", "welcome")]
        assert not stage.said_of(LeadSynced)
        outside.faults.remove(fault)
        await stage.advance(LONG)
        assert [each.email for each in stage.said_of(LeadSynced)] == ["ada@example.com"]
        assert not list(stage.dead)
    assert outside.mailbox() == [("ada@example.com", "welcome")]
