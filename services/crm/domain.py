"""What the customer system takes and answers. Pure."""

from collections.abc import Mapping

from services.crm.events import LeadCaptured


def entry_of(lead: LeadCaptured) -> dict[str, str]:
    """The lead as the customer system takes it."""
    return {"email": lead.email, "campaign": lead.campaign, "delivery": lead.delivery}


def contact_of(answer: Mapping[str, object]) -> str:
    """The id that the customer system gave the lead."""
    return str(answer["id"])
