"""Settles a letter by hand, and a fact says who did it (docs/wire.md#receipts).

No delivery is sent; but an ordered subscription, whose subject the dead one blocks, is told first that it is let go.
"""

import asyncio
from typing import Any

from hocket.clock import rfc3339
from hocket.errors import HocketError
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.act.replay import SEND_SECONDS, last_headers, raw_of
from services.deadletters.ask.replay_plan import planned
from services.deadletters.fold.state import Act
from services.deadletters.keep.letters import keep_act, restate
from services.deadletters.service import deadletters

#: The header of a letter whose subject waits behind it.
BLOCKS = "hocket-death-blocks"


async def discard(id: str, *, who: str, reason: str) -> str:
    """Settle a letter by hand. Answers its id; `NoLetter`, or `Refused` without reason or need.

    `Refused` also where the subscription that it blocks cannot be told: nothing is settled then (RULES 9.6).
    """
    if not reason.strip():
        raise Refused("A discard needs a reason: say why nobody needs this any more.")
    await _let_go(id)
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


async def _let_go(id: str) -> None:
    """Tell an ordered subscription that its subject may go on; said twice it finds nothing to do."""
    async with deadletters.tx() as tx:
        db = await tx.read()
        found = await planned(db, id, tx.time)
        headers = await last_headers(db, found.letter.id)
    if found.discard_refusal or BLOCKS not in headers:
        return
    letter = found.letter
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await deadletters.let_go(
                letter.subscription, raw_of(letter, headers), death=letter.id, attempt=letter.attempt
            )
    except (TimeoutError, HocketError) as error:
        why = str(error) or f"the broker has not confirmed it within {SEND_SECONDS:.0f} s"
        raise Refused(f"{letter.subscription} could not be told to go on without it, so it is kept: {why}.") from error


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
