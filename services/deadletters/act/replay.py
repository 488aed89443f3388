"""Sends a letter again to the one subscription that failed. The act is stored before anything is sent."""

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.envelope import CONTENT_TYPE, ENCODING, encode
from hocket.envelope.keys import death_id
from hocket.errors import HocketError
from hocket.observe import Raw
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.ask.replay_plan import is_binary, planned
from services.deadletters.fold.state import Act
from services.deadletters.keep.letters import keep_act, restate
from services.deadletters.keep.tables import arrivals
from services.deadletters.read.letter import envelope_of
from services.deadletters.service import deadletters

#: Seconds the broker may take to confirm a replay; below `SENDING_SECONDS`, so that a timeout is stored before the
#: replay may be repeated.
SEND_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What a replay did; `failure` says why the broker did not confirm it."""

    letter: str
    replay: str
    subscription: str
    attempt: int
    failure: str = ""


async def replay(id: str, *, who: str, reason: str) -> Sent:
    """Send a letter again to the one subscription that failed (RULES 8.4).

    The act is committed before anything is sent; a send that fails is kept with its sentence and can be repeated
    under the same replay id. `NoLetter`, or `Refused` with the sentence why not.
    """
    async with deadletters.tx() as tx:
        db = await tx.db()
        await deadletters.take_turn(db)
        found = await planned(db, id, tx.time)
        if found.plan.refusal:
            raise Refused(found.plan.refusal)
        letter, time = found.letter, rfc3339(tx.time)
        fresh = death_id("replay", letter.id, str(found.plan.attempt), time)
        act = Act(
            "replay",
            time,
            found.base,
            found.plan.attempt,
            found.plan.repeats or fresh,
            who,
            reason[:MAX_REASON],
            tried=tx.time.timestamp(),
        )
        await keep_act(db, letter.id, act)
        await restate(db, [letter.id])
        headers = await last_headers(db, letter.id)
    failure = await _send(raw_of(letter, headers), letter.subscription, act)
    async with deadletters.tx() as tx:
        sent_at = "" if failure else rfc3339(tx.time)
        db = await tx.db()
        await deadletters.take_turn(db)
        await keep_act(db, letter.id, dataclasses.replace(act, sent_at=sent_at, failure=failure))
    return Sent(letter.id, act.replay, letter.subscription, act.attempt, failure)


async def last_headers(db: AsyncConnection, id: str) -> dict[str, Any]:
    """The headers of the newest arrival of a letter."""
    newest = sa.select(arrivals.c.headers).where(arrivals.c.letter == id)
    return dict(await db.scalar(newest.order_by(arrivals.c.attempt.desc(), arrivals.c.time.desc()).limit(1)) or {})


def raw_of(letter: Any, headers: dict[str, Any]) -> Raw:
    """The letter's own bytes; where the attributes stood in headers, the same event as one structured body."""
    if is_binary(letter):
        envelope = envelope_of(letter.body, letter.content_type, headers)
        if envelope is not None:
            unpacked = {name: value for name, value in headers.items() if name != ENCODING}
            return Raw(encode(envelope, heard=True), unpacked, content_type=CONTENT_TYPE)
    return Raw(letter.body, headers, content_type=letter.content_type)


async def _send(raw: Raw, subscription: str, act: Act) -> str:
    """Publish; "" or the sentence why it is not known to have arrived."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await deadletters.send(subscription, raw, replay=act.replay, attempt=act.attempt)
    except TimeoutError:
        return f"The broker has not confirmed it within {SEND_SECONDS:.0f} s: replay it again, with the same replay id."
    except HocketError as error:
        return f"The broker did not accept it: {error}. Fix that and replay it again, with the same replay id."
    return ""
