"""Settles a letter by hand: nothing is sent."""

from hocket.clock import rfc3339
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.ask.replay_plan import planned
from services.deadletters.fold.state import OPEN, Act
from services.deadletters.keep.letters import keep_act, restate
from services.deadletters.service import deadletters


async def discard(id: str, *, who: str, reason: str) -> str:
    """Settle a letter by hand: nothing is sent. Answers its id; `NoLetter`, or `Refused` without reason or need."""
    if not reason.strip():
        raise Refused("A discard needs a reason: say why nobody needs this any more.")
    async with deadletters.tx() as tx:
        db = await tx.db()
        await deadletters.take_turn(db)
        found = await planned(db, id, tx.time)
        if found.now.state not in OPEN:
            raise Refused(f"It is {found.now.state} already: there is nothing to discard.")
        act = Act("discard", rfc3339(tx.time), found.base, who=who, reason=reason[:MAX_REASON])
        await keep_act(db, found.letter.id, act)
        await restate(db, [found.letter.id])
    return str(found.letter.id)
