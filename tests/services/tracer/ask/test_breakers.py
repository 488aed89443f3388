"""Breakers as heartbeats and their changes tell them, and how many flows wait for what."""

from datetime import timedelta
from typing import Any

import pytest

from hocket.clock import rfc3339
from hocket.console.facts import BreakerChange, Heartbeat
from hocket.testing import fake_tx
from services.tracer.ask.around import around
from services.tracer.ask.breakers import (
    breakers_of,
    changes_between,
    guards_of,
    last_changes,
    waiting_by_subscription,
)
from services.tracer.ask.flows import flow_of
from services.tracer.ask.knowledge import knowledge
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep import breakers as keeping
from services.tracer.keep.forgetting import Keep, forget
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.keep.tables import tables
from services.tracer.service import Settings
from services.tracer.show.sentences import plain, where_is
from tests.services.tracer.saga_stories import SHOP, change, fired, shipped, waiting_for_carrier
from tests.services.tracer.sample_facts import START
from tests.services.tracer.test_handlers import events as log_of
from tests.services.tracer.test_handlers import facts


def beat(seconds: float, instance: str = "a", **breaker: Any) -> Heartbeat:
    """A heartbeat of shipping."""
    return Heartbeat(
        kind="heartbeat", service="shipping", instance=instance, time=START + timedelta(seconds=seconds),
        breakers={"carrier-api": breaker},  # type: ignore[dict-item]
    )  # fmt: skip


def changed(seconds: float, state: str, version: int, **more: Any) -> BreakerChange:
    """A change of its breaker."""
    at = START + timedelta(seconds=seconds)
    return BreakerChange.model_validate(change("carrier-api", "shipping", "closed", state, at, version, **more))


def test_the_newest_version_counts() -> None:
    """A replica that has not learnt yet tells an older state later; a change overtakes the heartbeats."""
    beats = [beat(10, state="open", version=3, reason="it is ill"), beat(12, "b", state="closed", version=2)]
    [found] = breakers_of(beats)
    assert (found.state, found.reason, found.version) == ("open", "it is ill", 3)
    [found] = breakers_of(beats, [changed(11, "half-open", 4), changed(5, "open", 3)])
    assert (found.state, found.since) == ("half-open", START + timedelta(seconds=11))
    [found] = breakers_of(beats, [changed(5, "open", 3, reason="older")])
    assert found.reason == "it is ill"
    assert [each.state for each in breakers_of([], [changed(5, "held", 1, by="ada")])] == ["held"]


def test_what_comes_next() -> None:
    """The end of an open period, while it is ahead."""
    [found] = breakers_of([beat(0, state="open", version=1, until=START + timedelta(seconds=30))])
    assert found.next(START) == START + timedelta(seconds=30)
    assert found.next(START + timedelta(minutes=1)) is None


async def test_who_waits_is_counted_with_each_fold() -> None:
    """docs/console.md §6: by subscription; a flow that goes on, or is forgotten, waits no more."""
    tx = fake_tx(uses=Settings(), tables=tables)
    now = tx.time
    await read_receipts([facts(*({**each, "time": rfc3339(now - timedelta(hours=1))} for each in SHOP))], tx)
    start = now - timedelta(seconds=10)
    stories = [waiting_for_carrier(1, start), waiting_for_carrier(2, start), shipped(3, start)]
    opened = change("carrier-api", "shipping", "closed", "open", now, 1, until=rfc3339(now + timedelta(seconds=9)))
    for story in stories:
        await read_log(log_of(story), tx)
        await read_receipts([facts(*story.receipts)], tx)
    await read_receipts([facts(opened)], tx)
    db = await tx.db()
    while await fold_unfolded(db, now):
        pass
    assert await waiting_by_subscription(db) == {"shipping.ship": 2}
    known = await knowledge(db)
    reasons = await around(db, known, now)
    shut = reasons.breakers["shipping.ship"]
    assert (shut.name, shut.owner, shut.flows, shut.waiting) == ("carrier-api", "team-post", 2, (("shipping.ship", 2),))
    gone = fired(1, start, late=True)
    await read_log(log_of(gone), tx)
    await read_receipts([facts(*gone.receipts)], tx)
    while await fold_unfolded(db, now):
        pass
    assert await waiting_by_subscription(db) == {"shipping.ship": 1}
    await forget(db, Keep(timedelta(0), timedelta(0)), now + timedelta(days=1))
    assert await waiting_by_subscription(db) == {}


async def test_a_change_is_kept_once_and_the_newest_are() -> None:
    """At most `MAX_CHANGES` of one breaker; the last one is never forgotten, for it says how it stands."""
    tx = fake_tx(uses=Settings(), tables=tables)
    every = [change("api", "crm", "closed", "open", START + timedelta(seconds=at), at) for at in range(6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "MAX_CHANGES", 4)
        await read_receipts([facts(*every)], tx)
        await read_receipts([facts(*every[-2:])], tx)
    db = await tx.db()
    told = await changes_between(db, [("crm", "api")], START, START + timedelta(hours=1))
    assert [each.version for each in told] == [2, 3, 4, 5]
    assert [each.version for each in await last_changes(db, START + timedelta(seconds=3.5))] == [3]
    await forget(db, Keep(timedelta(days=1), timedelta(days=1)), START + timedelta(days=9))
    assert [each.version for each in await last_changes(db)] == [5]


async def test_as_of_a_past_moment_the_breaker_is_named() -> None:
    """docs/console.md §6: each change was told, so why a delivery waited then is known."""
    tx = fake_tx(uses=Settings(), tables=tables)
    story = waiting_for_carrier(1)
    opened = change("carrier-api", "shipping", "closed", "open", story.at(2), 1, until=rfc3339(story.at(30)))
    closed = change("carrier-api", "shipping", "half-open", "closed", story.at(60), 2)
    await read_receipts([facts(*SHOP, opened, closed, *story.receipts)], tx)
    db = await tx.db()
    known = await knowledge(db)
    assert guards_of("shipping.ship", known) == (("shipping", "carrier-api"), ("shipping", "shipping.ship"))
    then = story.at(20)
    reasons = await around(db, known, tx.time, then)
    assert (await around(db, known, tx.time, story.at(61))).breakers == {}
    flow = await flow_of(db, story.flow, known, then)
    assert flow is not None
    assert "breaker carrier-api is open since 14:05:02, next probe at 14:05:30" in plain(
        where_is("It", flow, then, reasons)
    )
