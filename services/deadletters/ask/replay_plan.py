"""One letter with what a replay of it would do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.fold.replay_plan import Candidate, Hearer, Plan, discard_refusal, plan
from services.deadletters.fold.state import Standing, standing
from services.deadletters.keep.letters import facts_of, resolve
from services.deadletters.keep.tables import letters, services


class NoLetter(Exception):
    """There is no letter of this id."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A letter with its state and what a replay of it would do."""

    letter: Any
    now: Standing
    plan: Plan
    discard_refusal: str  # the sentence why it would not be discarded, "" when it would

    @property
    def base(self) -> tuple[int, str]:
        """The death that an act is about: its attempt and its time."""
        return self.letter.attempt, self.letter.last_at


async def planned(db: AsyncConnection, id: str, moment: datetime) -> Planned:
    """The dry run. `NoLetter` where there is none."""
    known = await resolve(db, id)
    if known is None:
        raise NoLetter(id)
    letter = (await db.execute(sa.select(letters).where(letters.c.id == known))).one()
    now = standing(*(await facts_of(db, [known]))[known])
    candidate = Candidate(letter.subscription, letter.attempt, letter.cause, letter.spoke, is_binary(letter))
    hears, clock = await hearer(db, letter), moment.timestamp()
    return Planned(letter, now, plan(candidate, now, hears, clock), discard_refusal(now, hears, clock))


def is_binary(letter: Any) -> bool:
    """Whether the attributes of the letter's event stood in headers."""
    return bool(letter.event_id) and not letter.content_type.lower().startswith("application/cloudevents")


async def hearer(db: AsyncConnection, letter: Any) -> Hearer:
    """What the letter's service reported of its subscription, and the state of its breaker."""
    row = (await db.execute(sa.select(services).where(services.c.service == letter.service))).first()
    mine = [each for each in row.subscriptions if each.get("name") == letter.subscription] if row else []
    if row is None or not row.manifest_at:
        return Hearer()
    if not mine:
        return Hearer(lists=False)
    says = tuple(sorted({name for key in ("says", "scheduled") for name, _ in mine[0].get(key) or ()}))
    breaker = mine[0].get("breaker") or ""
    return Hearer(True, says, breaker, (row.breakers.get(breaker) or {}).get("state") or "")
