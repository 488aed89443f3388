"""Drift as the tracer keeps it, warns of it once, and answers who reads it."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import func, select

from hocket import Tx
from hocket.clock import rfc3339
from hocket.console.drift_facts import Drifted
from hocket.console.facts import Reported, read_facts
from hocket.envelope import CONTENT_TYPE, encode
from hocket.observe import Raw
from services.tracer.ask.drift import Drift, drift_of
from services.tracer.ask.knowledge import knowledge
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep.drift import forget_drift, keep_drift
from services.tracer.keep.tables import drift_alarms, drift_boots, drift_paths, tables
from services.tracer.service import Settings
from services.tracer.show.drift_words import about_drift, drift_json
from tests.services.databases import store_at, within
from tests.services.tracer.drift_facts import LATER, drifted, seen
from tests.services.tracer.sample_facts import START, Story, manifest, subscription

#: What came after the baseline, a Tuesday.
NEW = datetime.fromisoformat("2026-11-26T14:05:00+00:00")


@pytest.fixture
async def tx(address: str) -> AsyncIterator[Tx[Settings]]:
    """A tracer's transaction; payments and mails hear `order.placed`."""
    async with store_at(address, tables) as store, store.transaction(60.0) as opened:
        made = within(opened, Settings())
        await told(
            made,
            manifest("payments", "team-money", subscription("payments.charge", ["order.placed"])),
            manifest("mails", "team-care", subscription("mails.greet", ["order.placed"])),
        )
        yield made


async def told(tx: Tx[Settings], *facts: dict[str, Any]) -> None:
    """One message of the receipts."""
    await read_receipts([Raw(json.dumps(facts).encode(), offset=0)], tx)


async def asked(tx: Tx[Settings], now: datetime = LATER) -> Drift:
    """What the page shows."""
    db = await tx.db()
    return await drift_of(db, await knowledge(db), now)


async def test_what_is_new_is_said_in_words_with_who_hears_it(tx: Tx[Settings]) -> None:
    """RULES 16.3: "shopify began to send `customer.tags` at Thu 14:05"; baseline shown, not alarmed."""
    await told(
        tx,
        drifted(
            "payments.charge",
            seen("customer.tags", "unknown", NEW, many=40, event="e7"),
            seen("note", "null", START),
        ),
        drifted("mails.greet", seen("customer.tags", "unknown", NEW + timedelta(minutes=1), many=39, event="e8")),
    )
    found = await asked(tx)
    new, old = found.paths
    assert (new.path, new.new, old.path, old.new) == ("customer.tags", True, "note", False)
    assert [(each.subscription, each.owner) for each in new.readers] == [
        ("mails.greet", "team-care"), ("payments.charge", "team-money"),
    ]  # fmt: skip
    assert (new.first.first_event, new.most.sighted.many) == ("e7", 40)
    assert about_drift(found, LATER) == "shopify began to send `customer.tags` at Thu 14:05"
    [of_new, of_old] = drift_json(found, LATER)["drift"]
    assert (of_new["state"], of_old["state"]) == ("new", "baseline")
    assert of_new["sentence"] == "shopify began to send `customer.tags` at Thu 14:05"


async def test_one_warning_for_a_path_and_kind(tx: Tx[Settings], caplog: pytest.LogCaptureFixture) -> None:
    """RULES 16.3: however many subscriptions, boots and facts tell it."""
    fact = drifted("payments.charge", seen("customer.tags", "unknown", NEW))
    with caplog.at_level(logging.WARNING, "tracer"):
        for each in (fact, fact, {**fact, "boot": "b2"}, drifted("mails.greet", seen("customer.tags", "unknown", NEW))):
            await told(tx, each)
        await told(tx, drifted("payments.charge", seen("customer.tags", "type", NEW), events=2_100))
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("shopify began to send `customer.tags` at Thu ")
    assert said[1].startswith("shopify began to send another type as `customer.tags` at Thu ")


async def test_nothing_is_warned_of_in_a_baseline_or_where_it_is_accepted(
    tx: Tx[Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """RULES 16.3, 16.4: too few events, too early, `accept`; all of it is on the page."""
    await told(
        tx,
        drifted("payments.charge", seen("a", "unknown", NEW), events=900),
        drifted("mails.greet", seen("b", "unknown", START + timedelta(hours=23))),
        drifted("mails.count", seen("c", "unknown", NEW), mode="accept"),
    )
    assert [each for each in caplog.records if each.name == "tracer"] == []
    found = await asked(tx)
    assert {each.path: each.new for each in found.paths} == {"a": False, "b": False, "c": False}
    assert [each.path for each in found.paths if each.accepted] == ["c"]
    assert about_drift(found, LATER) == "Nothing new in the last 7 days"


async def test_any_order_and_any_double_end_the_same(tx: Tx[Settings]) -> None:
    """RULES 7.4, 16.3: the page is a function of the set of facts: replicas, restarts, late facts."""
    facts = [
        drifted("payments.charge", seen("a", "unknown", NEW, many=3), events=700),
        drifted("payments.charge", seen("a", "unknown", NEW, many=9), seen("b", "type", NEW, deep=True), events=1_500),
        drifted("payments.charge", seen("a", "unknown", NEW - timedelta(hours=1), many=4, event="e0"), boot="b2"),
        drifted("mails.greet", seen("a", "unknown", NEW)),
    ]
    ends = set()
    db = await tx.db()
    for order in permutations(range(4)):
        for table in (drift_boots, drift_paths, drift_alarms):
            await db.execute(table.delete())
        for n in (*order, order[0]):
            read, aside = read_facts(json.dumps([facts[n]]).encode(), "0")
            assert aside == []
            await keep_drift(db, drifts(read), LATER)
        ends.add(json.dumps(drift_json(await asked(tx), LATER), sort_keys=True))
    [end] = ends
    [_, a] = json.loads(end)["drift"]
    assert (a["readers"][1]["many"], a["first_event"]) == (13, "e0")


def drifts(facts: list[Reported]) -> list[Drifted]:
    """Those of drift."""
    return [each for each in facts if isinstance(each, Drifted)]


async def test_another_model_begins_a_baseline_and_replaces_the_old_one(tx: Tx[Settings]) -> None:
    """RULES 16.3: a handler that reads less has not made its sender send more."""
    await told(tx, drifted("payments.charge", seen("tags", "unknown", NEW)))
    later = LATER + timedelta(hours=1)
    await told(
        tx,
        drifted(
            "payments.charge", seen("other", "unknown", LATER), model="m2", boot="b2", start=LATER,
            last=rfc3339(later), time=rfc3339(later),
        ),
    )  # fmt: skip
    found = await asked(tx, later)
    assert [(each.path, each.new) for each in found.paths] == [("other", False)]
    assert found.compared[0].baseline(later) != "over"


async def test_the_first_event_leads_to_its_flow(tx: Tx[Settings]) -> None:
    """RULES 16.3: where the log had it; a webhook's delivery has none."""
    story = Story(5).say("shopify", "order.placed", 0)
    await read_log([Raw(encode(each), content_type=CONTENT_TYPE, offset=0) for each in story.envelopes], tx)
    await told(
        tx,
        drifted("payments.charge", seen("tags", "unknown", NEW, event=story.id("order.placed"))),
        drifted("payments.stripe", seen("tags", "unknown", NEW, event="evt_1"), source="stripe", type="webhook"),
    )
    assert {each.source: each.flow for each in (await asked(tx)).paths} == {"/shopify": story.flow, "stripe": ""}


async def test_boots_that_are_over_are_put_together(tx: Tx[Settings]) -> None:
    """RULES 16.3: what is kept does not grow with each restart, and says the same."""
    await told(tx, *[drifted("payments.charge", seen("a", "unknown", NEW, many=2), boot=f"b{n}") for n in range(5)])
    before = drift_json(await asked(tx), LATER)
    db = await tx.db()
    await forget_drift(db, (LATER + timedelta(days=30)).timestamp(), START.timestamp())
    await forget_drift(db, (LATER + timedelta(days=30)).timestamp(), START.timestamp())
    assert await db.scalar(select(func.count()).select_from(drift_boots)) == 1
    assert await db.scalar(select(func.count()).select_from(drift_paths)) == 1
    assert drift_json(await asked(tx), LATER) == before
    await told(tx, drifted("payments.charge", seen("a", "unknown", NEW, many=2), boot="new"))
    [path] = (await asked(tx)).paths
    assert path.most.sighted.many == 12


async def test_what_nobody_tells_of_any_more_is_forgotten(tx: Tx[Settings]) -> None:
    """RULES 16.3: a subscription or a sender that is gone for as long as open flows are kept; what is told of stays."""
    await told(tx, drifted("payments.charge", seen("a", "unknown", NEW)))
    later = rfc3339(LATER + timedelta(hours=1))
    await told(tx, drifted("mails.greet", seen("b", "unknown", NEW), source="/other", time=later, last=later))
    db = await tx.db()
    gone = (LATER + timedelta(minutes=1)).timestamp()
    await forget_drift(db, gone, gone)
    assert [each.path for each in (await asked(tx)).paths] == ["b"]
    assert await db.scalar(select(func.count()).select_from(drift_alarms)) == 1


async def test_a_hostile_fact_is_set_aside_or_bounded(tx: Tx[Settings]) -> None:
    """docs/wire.md#receipts: too long, too many, odd characters, times ahead of ours."""
    far = datetime.fromisoformat("2999-01-01T00:00:00+00:00")
    _, aside = read_facts(
        json.dumps(
            [
                drifted("a.b", seen("x" * 500, "unknown", NEW)),
                drifted("a.b", *[seen(f"x{n}", "unknown", NEW) for n in range(600)]),
                drifted("a.b", seen("x\x00", "unknown", NEW)),
                drifted("a.b", events=-1),
                drifted("a.b", model="m" * 900, source="s" * 1000, boot="b" * 900),
            ]
        ).encode(),
        "0",
    )
    assert len(aside) == 5
    await told(tx, drifted("payments.charge", seen("<b>", "odd kind", far), time=rfc3339(far), last=rfc3339(far)))
    found = await asked(tx)
    assert found.paths[0].first.first < far
    assert "began to differ (odd kind) at `<b>`" in drift_json(found, LATER)["drift"][0]["sentence"]
