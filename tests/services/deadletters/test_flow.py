"""The desk beside a service that gives up: the letter, its replay, handled once, settled by the receipt."""

from datetime import timedelta
from typing import Any

from hocket import Death, Event, Heard, Reject, Retry, Service, Tx
from hocket.testing import play
from services.deadletters import deadletters
from services.deadletters.act.discard import discard
from services.deadletters.act.replay import replay
from services.deadletters.ask.letters import find_letters
from services.deadletters.ask.replay_plan import planned
from services.deadletters.show.views import whole
from services.tracer import tracer
from services.tracer.ask.flows import Filter, flow_of, list_flows
from services.tracer.ask.knowledge import knowledge
from services.tracer.show.sentences import plain, where_is

mailer = Service("mailer", owner="team-care")
DOWN: set[str] = set()
SENT: list[tuple[str, bool, int]] = []


class LeadCaptured(Heard, type="lead.captured"):
    email: str


class LeadWelcomed(Event, type="lead.welcomed", subject="lead/{email:pseudonym}"):
    email: str


class LeadLost(Event, type="lead.lost", subject="lead/{email:pseudonym}"):
    email: str


@mailer.handler(retry=Retry(retries=2))
async def welcome(lead: LeadCaptured, tx: Tx) -> LeadWelcomed:
    """Fails while the lead's mail system is down."""
    if lead.email in DOWN:
        raise ConnectionError(f"no mail to {lead.email}")
    SENT.append((lead.email, tx.replaying, tx.attempt))
    return LeadWelcomed(email=lead.email)


@mailer.handler
async def score(lead: LeadCaptured, tx: Tx) -> LeadWelcomed:
    """Gives up at once, and says so."""
    raise Reject("no score today")


@mailer.on_dead(score)
def lost(lead: LeadCaptured, death: Death) -> LeadLost:
    """What follows instead."""
    return LeadLost(email=lead.email)


async def letters(subscription: str) -> list[dict[str, Any]]:
    """The desk's letters of one subscription, whole."""
    async with deadletters.tx() as tx:
        db = await tx.read()
        rows = await find_letters(db, {"subscription": subscription}, after=0, limit=10, newest=False)
        return [await whole(db, await planned(db, row.id, tx.time)) for row in rows]


async def test_a_letter_is_replayed_and_handled_once() -> None:
    """RULES 8.2, 8.4: given up, mended, replayed to the one subscription that failed; the receipt settles it."""
    DOWN.add("ada@example.com")
    SENT.clear()
    async with play(mailer, deadletters, seed=3) as stage:
        await stage.hear(LeadCaptured(email="ada@example.com"), key="lead-1")
        await stage.advance(timedelta(minutes=5))
        [letter] = await letters("mailer.welcome")
        assert (letter["state"], letter["cause"], letter["attempt"]) == ("pending", "ConnectionError", 3)
        assert (letter["event"]["type"], letter["owner"]) == ("lead.captured", "team-care")
        assert "def welcome" not in letter["arrivals"][0]["history"][-1]["trace"]
        assert "in welcome" in letter["arrivals"][0]["history"][-1]["trace"]
        DOWN.clear()
        sent = await replay(letter["id"], who="mia", reason="mail is up")
        assert (sent.subscription, sent.attempt, sent.failure) == ("mailer.welcome", 4, "")
        await stage.quiet()
        assert SENT == [("ada@example.com", True, 4)]
        assert len(stage.said_of(LeadWelcomed)) == 1
        [letter] = await letters("mailer.welcome")
        assert (letter["state"], letter["settled"]["replay"]) == ("handled", sent.replay)


async def test_a_replay_that_dies_again_is_the_same_letter() -> None:
    """RULES 8.4: a fresh budget of attempts, then the same letter, failed again."""
    DOWN.add("bob@example.com")
    async with play(mailer, deadletters, seed=4) as stage:
        await stage.hear(LeadCaptured(email="bob@example.com"), key="lead-2")
        await stage.advance(timedelta(minutes=5))
        [letter] = await letters("mailer.welcome")
        await replay(letter["id"], who="mia", reason="hope")
        await stage.advance(timedelta(minutes=5))
        [again] = await letters("mailer.welcome")
        assert (again["id"], again["state"], again["says"]) == (letter["id"], "pending", "failed again once")
        assert again["attempt"] == 6
    DOWN.clear()


async def test_what_on_dead_said_stands() -> None:
    """RULES 5.5: the letter of a death that spoke is obsolete and is not sent again."""
    async with play(mailer, deadletters, seed=5) as stage:
        await stage.hear(LeadCaptured(email="eve@example.com"), key="lead-3")
        await stage.advance(timedelta(minutes=5))
        [letter] = await letters("mailer.score")
        assert (letter["state"], letter["spoke"], letter["cause"]) == ("obsolete", True, "rejected")
        assert "on_dead said what follows" in letter["refusal"]
        assert len(stage.said_of(LeadLost)) == 1


async def test_a_discard_settles_the_flow_at_the_tracer() -> None:
    """RULES 8.2: what a person discards at the desk needs nobody at the tracer any more, which says who settled it."""
    DOWN.add("joe@example.com")
    async with play(mailer, deadletters, tracer, seed=6) as stage:
        await stage.hear(LeadCaptured(email="joe@example.com"), key="lead-4")
        await stage.advance(timedelta(minutes=5))
        [letter] = await letters("mailer.welcome")
        flow = letter["event"]["correlationid"]
        assert await needs(flow) == ("open-letter", 1)
        await discard(letter["id"], who="mia", reason="called instead")
        await stage.advance(timedelta(seconds=30))
        assert await needs(flow) == ("discarded", 0)
        async with tracer.tx() as tx:
            db = await tx.read()
            found = await flow_of(db, flow, await knowledge(db))
        assert found is not None
        assert "mailer.welcome was discarded by mia: called instead" in plain(where_is("It", found, tx.time))
    DOWN.clear()


async def needs(flow: str) -> tuple[str, int]:
    """The state of a flow in the tracer's list, and its dead letters."""
    async with tracer.tx() as tx:
        db = await tx.read()
        [line] = (await list_flows(db, Filter(q=flow), await knowledge(db))).lines
    return line.state, line.dead
