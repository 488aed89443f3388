"""What a person does with a letter: replay it, discard it. Kept before it is done, so that nothing is done unseen."""

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.envelope import CONTENT_TYPE, encode
from hocket.envelope.keys import death_id
from hocket.errors import HocketError
from hocket.observe import Raw
from services.deadletters.fold.state import OPEN, Act, Hearer, Plan, Standing, Subject, plan, standing
from services.deadletters.keep import letters as storage
from services.deadletters.keep.tables import arrivals, letters, services
from services.deadletters.read.letter import envelope_of
from services.deadletters.service import deadletters

#: Seconds the broker may take to confirm a replay; below `SENDING_SECONDS`, so that a late one is known as failed.
SEND_SECONDS = 20.0
#: Longest reason that is kept, in characters.
MAX_REASON = 1_000


class NoLetter(Exception):
    """There is no letter of this id."""


class Refused(Exception):
    """The act is refused; the text is the sentence that says why."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A letter with its state and what a replay of it would do."""

    letter: Any
    now: Standing
    plan: Plan


@dataclass(frozen=True, slots=True)
class Sent:
    """What a replay did; `failure` is the sentence why the broker did not take it."""

    letter: str
    replay: str
    subscription: str
    attempt: int
    failure: str = ""


async def planned(db: AsyncConnection, id: str, moment: datetime) -> Planned:
    """The dry run. `NoLetter` where there is none."""
    known = await storage.resolve(db, id)
    if known is None:
        raise NoLetter(id)
    letter = (await db.execute(sa.select(letters).where(letters.c.id == known))).one()
    now = standing(*(await storage.facts_of(db, [known]))[known])
    binary = bool(letter.event_id) and not letter.content_type.lower().startswith("application/cloudevents")
    subject = Subject(
        letter.subscription, letter.attempt, letter.cause, letter.spoke, letter.type, letter.subject, binary
    )
    return Planned(letter, now, plan(subject, now, await hearer(db, letter), moment.timestamp()))


async def hearer(db: AsyncConnection, letter: Any) -> Hearer:
    """What the letter's service said of its subscription, and how its breaker stands."""
    row = (await db.execute(sa.select(services).where(services.c.service == letter.service))).first()
    mine = [each for each in row.subscriptions if each.get("name") == letter.subscription] if row else []
    if row is None or not mine:
        return Hearer()
    says = tuple(sorted({name for key in ("says", "scheduled") for name, _ in mine[0].get(key) or ()}))
    breaker = mine[0].get("breaker") or ""
    return Hearer(True, says, breaker, (row.breakers.get(breaker) or {}).get("state") or "")


async def replay(id: str, *, who: str, reason: str) -> Sent:
    """Send a letter again to the one subscription that failed (RULES 8.4).

    The act is committed before anything is sent; a send that fails is kept with its sentence and can be repeated
    under the same replay id. `NoLetter`, or `Refused` with the sentence why not.
    """
    async with deadletters.tx() as tx:
        db = await tx.db()
        await storage.take_turn(db)
        found = await planned(db, id, tx.time)
        if found.plan.refusal:
            raise Refused(found.plan.refusal)
        letter, time = found.letter, rfc3339(tx.time)
        fresh = death_id("replay", letter.id, str(found.plan.attempt), time)
        act = Act(
            "replay",
            time,
            _base(found),
            found.plan.attempt,
            found.plan.repeats or fresh,
            who,
            reason[:MAX_REASON],
            tried=tx.time.timestamp(),
        )
        await storage.keep_act(db, letter.id, act)
        await storage.restate(db, [letter.id])
        headers = await _last_headers(db, letter.id)
    failure = await _send(_raw(letter, headers), letter.subscription, act)
    async with deadletters.tx() as tx:
        sent_at = "" if failure else rfc3339(tx.time)
        db = await tx.db()
        await storage.take_turn(db)
        await storage.keep_act(db, letter.id, dataclasses.replace(act, sent_at=sent_at, failure=failure))
    return Sent(letter.id, act.replay, letter.subscription, act.attempt, failure)


async def discard(id: str, *, who: str, reason: str) -> str:
    """Settle a letter by hand: nothing is sent. Answers its id; `NoLetter`, or `Refused` without reason or need."""
    if not reason.strip():
        raise Refused("A discard needs a reason: say why nobody needs this any more.")
    async with deadletters.tx() as tx:
        db = await tx.db()
        await storage.take_turn(db)
        found = await planned(db, id, tx.time)
        if found.now.state not in OPEN:
            raise Refused(f"It is {found.now.state} already: there is nothing to discard.")
        act = Act("discard", rfc3339(tx.time), _base(found), who=who, reason=reason[:MAX_REASON])
        await storage.keep_act(db, found.letter.id, act)
        await storage.restate(db, [found.letter.id])
    return str(found.letter.id)


def _base(found: Planned) -> tuple[int, str]:
    return found.letter.attempt, found.letter.last_at


async def _last_headers(db: AsyncConnection, id: str) -> dict[str, Any]:
    newest = sa.select(arrivals.c.headers).where(arrivals.c.letter == id)
    return dict(await db.scalar(newest.order_by(arrivals.c.attempt.desc(), arrivals.c.time.desc()).limit(1)) or {})


def _raw(letter: Any, headers: dict[str, Any]) -> Raw:
    """The letter's own bytes; of one whose attributes stood in headers the same event as one body."""
    if letter.event_id and not letter.content_type.lower().startswith("application/cloudevents"):
        envelope = envelope_of(letter.body, letter.content_type, headers)
        if envelope is not None:
            return Raw(encode(envelope), headers, content_type=CONTENT_TYPE)
    return Raw(letter.body, headers, content_type=letter.content_type)


async def _send(raw: Raw, subscription: str, act: Act) -> str:
    """Publish; "" or the sentence why it is not known to have arrived."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await deadletters.send(subscription, raw, replay=act.replay, attempt=act.attempt)
    except TimeoutError:
        return (
            f"The broker has not confirmed it within {SEND_SECONDS:.0f} s: replay it again, under the same replay id."
        )
    except HocketError as error:
        return f"The broker did not take it: {error}. Replay it again once that is mended, under the same replay id."
    return ""
