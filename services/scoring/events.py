"""What scoring says, and what it hears of the others."""

from pydantic import AwareDatetime

from hocket import Event, Heard, Sensitive


class LeadCaptured(Heard, type="lead.captured"):
    """A lead to score. Its senders deliver in any order: `updated_at` says which of two is the newer."""

    email: Sensitive[str]
    campaign: str
    delivery: str
    updated_at: AwareDatetime
    orders_count: int = 0
    spent_cents: int = 0


class LeadScored(Event, type="lead.scored", subject="lead/{email:pseudonym}"):
    """The lead has a new score."""

    email: Sensitive[str]
    delivery: str  # the one that it was scored by
    points: int
    grade: str
