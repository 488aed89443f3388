"""How many points a lead has. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.scoring.events import LeadCaptured

#: Points of every lead, and of one that came by a campaign.
BASE, CAMPAIGN = 10, 10
#: Points for each order, at most so many of them; the cents that make a point, and most points for money.
ORDER, MOST_FOR_ORDERS = 5, 40
CENTS_A_POINT, MOST_FOR_MONEY = 1_000, 40
#: The least points of each grade, the best first.
GRADES: Mapping[str, int] = {"hot": 60, "warm": 30, "cold": 0}


@dataclass(frozen=True, slots=True)
class Score:
    """What a lead is worth to those who call it."""

    points: int  # 0 to 100
    grade: str


def score_of(lead: LeadCaptured) -> Score:
    """The score by this lead alone: the same whenever it is computed."""
    points = BASE + (CAMPAIGN if lead.campaign else 0)
    points += min(ORDER * lead.orders_count, MOST_FOR_ORDERS)
    points += min(lead.spent_cents // CENTS_A_POINT, MOST_FOR_MONEY)
    return Score(points, next(grade for grade, least in GRADES.items() if points >= least))
