"""What ingress says."""

from hocket import Event, Sensitive


class LeadCaptured(Event, type="lead.captured", subject="lead/{email:pseudonym}"):
    """Somebody showed interest; its subject has the address as a pseudonym, by which both consoles find it."""

    email: Sensitive[str]
    campaign: str
