"""What ingress says."""

from hocket import Event, Sensitive


class LeadCaptured(Event, type="lead.captured", subject="lead/{email:pseudonym}"):
    """Somebody showed interest."""

    email: Sensitive[str]
    campaign: str
