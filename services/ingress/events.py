"""What ingress says."""

from pydantic import AwareDatetime

from hocket import Event, Sensitive


class LeadCaptured(Event, type="lead.captured", subject="lead/{email:pseudonym}"):
    """Somebody showed interest; its subject has the address as a pseudonym, by which both consoles find it.

    Senders deliver in any order and more than once: `delivery` names what they sent, `updated_at` is by their clock.
    Who wants only the newest hears it with `latest_by`; who wants each of them does not.
    """

    email: Sensitive[str]
    campaign: str
    source: str  # `form`, or `webhook/` and its name
    delivery: str  # what the sender calls this delivery; unique in one source
    updated_at: AwareDatetime  # of the sender's record; of a plain form the moment at which it was posted
    orders_count: int
    spent_cents: int
