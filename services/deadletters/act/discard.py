"""Settles a letter by hand: no delivery is sent, and a fact says who did it (docs/wire.md#receipts)."""

from typing import Any

from hocket.clock import rfc3339
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.ask.replay_plan import planned
from services.deadletters.fold.state import Act
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
        if found.discard_refusal:
            raise Refused(found.discard_refusal)
        act = Act("discard", rfc3339(tx.time), found.base, who=who, reason=reason[:MAX_REASON])
        await keep_act(db, found.letter.id, act)
        await restate(db, [found.letter.id])
        if found.letter.event_id:
            tx.report(_fact(found.letter, act))
    return str(found.letter.id)


def _fact(letter: Any, act: Act) -> dict[str, object]:
    """The act as a receipt of the delivery, so that its flow is settled for whoever reads the stream."""
    return {
        "kind": "receipt",
        "subscription": letter.subscription,
        "event": {"id": letter.event_id, "source": letter.source, "type": letter.type, "version": letter.version},
        "subject": letter.subject,
        "correlationid": letter.correlation_id,
        "attempt": letter.attempt,
        "outcome": "discarded",
        "death": letter.id,
        "by": act.who,
        "reason": act.reason,
    }
