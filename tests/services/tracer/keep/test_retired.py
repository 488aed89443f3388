"""A service that a person retired: gone, waited for no more, and back by itself."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from hocket import Tx
from hocket.clock import rfc3339
from hocket.envelope import CONTENT_TYPE, encode
from hocket.observe import Raw
from services.tracer.ask.around import around
from services.tracer.ask.flows import flow_of
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.services import heartbeats_of, retired_of, services_of
from services.tracer.fold.flow import Flow
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep.tables import tables
from services.tracer.service import Settings
from services.tracer.show.sentences import plain, where_is
from tests.services.databases import store_at, within
from tests.services.tracer.sample_facts import START, Story, manifest, subscription

#: When stock was last heard, and when it was retired.
LAST, RETIRED = START + timedelta(minutes=1), START + timedelta(days=2)


@pytest.fixture
async def tx(address: str) -> AsyncIterator[Tx[Settings]]:
    """A tracer's transaction, two days after `stock`, which hears `order.placed`, sent its last heartbeat."""
    async with store_at(address, tables) as store, store.transaction(60.0) as opened:
        made = within(opened, Settings())
        await told(made, [manifest("stock", "team-stock", subscription("stock.reserve", ["order.placed"]))])
        await told(made, [heartbeat(LAST)])
        yield made


def heartbeat(moment: datetime) -> dict[str, Any]:
    """One of `stock`."""
    return {"kind": "heartbeat", "service": "stock", "instance": "stock-1", "boot": "b", "time": rfc3339(moment)}


def retired() -> dict[str, Any]:
    """That a person retired `stock`, as the desk says it."""
    return {
        "kind": "retired", "service": "deadletters", "retires": "stock", "time": rfc3339(RETIRED),
        "last": rfc3339(LAST), "by": "10.0.0.7", "reason": "sold",
    }  # fmt: skip


async def told(tx: Tx[Settings], facts: list[dict[str, Any]]) -> None:
    """One message of the receipts."""
    await read_receipts([Raw(json.dumps(facts).encode(), offset=0)], tx)


async def said(tx: Tx[Settings], number: int, after: timedelta) -> str:
    """An order placed so long after the start; its flow."""
    story = Story(number, start=START + after)
    story.say("orders", "order.placed", 0)
    await read_log([Raw(encode(each), offset=0, content_type=CONTENT_TYPE) for each in story.envelopes], tx)
    return story.flow


async def flow(tx: Tx[Settings], id: str) -> Flow:
    """A flow as its page folds it."""
    db = await tx.db()
    found = await flow_of(db, id, await knowledge(db), None)
    assert found is not None
    return found


async def listed(tx: Tx[Settings]) -> tuple[list[str], list[str]]:
    """The services that are listed, and the retired ones."""
    db = await tx.db()
    known = await knowledge(db)
    there = services_of(await heartbeats_of(db), known, RETIRED)
    return [each.name for each in there], [each.name for each in await retired_of(db, known)]


async def test_a_retired_service_is_gone_since_its_last_heartbeat(tx: Tx[Settings]) -> None:
    """RULES 7.6: it is listed apart, with who retired it and why, and is not silent any more."""
    assert await listed(tx) == (["stock"], [])
    await told(tx, [retired()])
    assert await listed(tx) == ([], ["stock"])
    db = await tx.db()
    [seen] = await retired_of(db, await knowledge(db))
    assert (seen.owner, seen.gone, seen.time, seen.by, seen.reason) == (
        "team-stock", LAST, RETIRED, "10.0.0.7", "sold",
    )  # fmt: skip


async def test_nobody_waits_for_a_retired_service(tx: Tx[Settings]) -> None:
    """RULES 7.6: what was said after its last heartbeat is done without it; what was said before says why it waits."""
    before, after = await said(tx, 1, timedelta(0)), await said(tx, 2, timedelta(hours=1))
    assert [(await flow(tx, each)).state for each in (before, after)] == ["running", "running"]
    await told(tx, [retired()])
    assert [(await flow(tx, each)).state for each in (before, after)] == ["running", "done"]
    db = await tx.db()
    reasons = await around(db, await knowledge(db), RETIRED)
    sentence = plain(where_is("It", await flow(tx, before), RETIRED, reasons))
    assert "stock is gone since" in sentence
    assert "was retired by 10.0.0.7: sold" in sentence


@pytest.mark.parametrize("order", ["retired first", "heard first"])
async def test_it_returns_by_itself_when_it_is_heard(tx: Tx[Settings], order: str) -> None:
    """RULES 7.6: with its next heartbeat it is listed and expected to hear again, whichever fact is read first."""
    waits = await said(tx, 1, timedelta(hours=1))
    facts = [retired(), heartbeat(LAST + timedelta(days=1))]
    for each in facts if order == "retired first" else reversed(facts):
        await told(tx, [each])
    assert await listed(tx) == (["stock"], [])
    assert (await flow(tx, waits)).state == "running"


async def test_an_old_heartbeat_read_again_brings_nobody_back(tx: Tx[Settings]) -> None:
    """RULES 1.7: a copy of the last heartbeat is no sign of life."""
    await told(tx, [retired()])
    await told(tx, [heartbeat(LAST)])
    assert await listed(tx) == ([], ["stock"])
