"""Enter each lead at the customer system."""

from datetime import timedelta

from hocket import Retry, Tx
from services.crm import storage
from services.crm.events import LeadCaptured, LeadSynced
from services.crm.service import Customers, crm, crm_api


@crm.handler(
    retry=Retry(retries=7, first=timedelta(seconds=0.3), longest=timedelta(seconds=10)),
    breaker=crm_api,
    allow={"step-without-undo": "a lead that stands in the customer system harms nobody"},
)
async def enter(lead: LeadCaptured, tx: Tx[Customers]) -> LeadSynced:
    """Enter the lead, outside, under a key that stays the same however often it is asked."""
    async with tx.outside(crm_api) as key:
        contact_id = await tx.use.enter(lead, key=key)
    await storage.note_contact(await tx.db(), key, tx.correlation_id, contact_id)
    return LeadSynced(email=lead.email, contact_id=contact_id)
