"""Score each lead by the newest that was told of it."""

from hocket import Tx
from services.scoring import storage
from services.scoring.domain import score_of
from services.scoring.events import LeadCaptured, LeadScored
from services.scoring.service import scoring


@scoring.handler(latest_by="updated_at")
async def score(lead: LeadCaptured, tx: Tx) -> LeadScored:
    """Score a lead; what is older by its sender's clock than what was scored before ends as stale: nothing changes."""
    scored = score_of(lead)
    await storage.put(await tx.db(), tx.subject, scored, delivery=lead.delivery, updated_at=lead.updated_at)
    return LeadScored(email=lead.email, delivery=lead.delivery, points=scored.points, grade=scored.grade)
