"""What crm says, and what it hears of the others."""

from hocket import Event, Heard, Sensitive


class LeadCaptured(Heard, type="lead.captured"):
    """A lead to enter."""

    email: Sensitive[str]
    campaign: str
    delivery: str = ""  # what the sender calls it; none in what was said before there was one


class LeadSynced(Event, type="lead.synced", subject="lead/{email:pseudonym}"):
    """The lead stands in the customer system."""

    email: Sensitive[str]
    contact_id: str
