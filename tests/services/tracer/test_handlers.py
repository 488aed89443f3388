"""The two readers: what they keep, what they set aside, whatever comes how often in which order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from hocket import Tx
from hocket.clock import rfc3339
from hocket.console.facts import MAX_FACTS_PER_MESSAGE
from hocket.envelope import CONTENT_TYPE, encode
from hocket.observe import Raw, Reader
from hocket.testing import fake_tx
from services.tracer.ask.breakers import breakers_of
from services.tracer.ask.flows import Filter, Line, flow_of, list_flows
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.own import Bounds, Own, own_state
from services.tracer.ask.services import heartbeats_of
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep import summaries
from services.tracer.keep.declared import all_manifests
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.keep.tables import aside, flows, tables
from services.tracer.service import Settings
from services.tracer.show.as_json import flow_json
from services.tracer.show.lanes import draw
from tests.services.databases import store_at, within
from tests.services.tracer.sample_facts import (
    MANIFESTS,
    START,
    Story,
    happy,
    mail_dead,
    manifest,
    rejected,
    subscription,
)

#: Seconds that a test may keep its transaction open.
TX_SECONDS = 60.0
#: Flows that both readers write at once.
ROUNDS = 80


@pytest.fixture
async def tx(address: str) -> AsyncIterator[Tx[Settings]]:
    """One transaction on a fresh database."""
    async with store_at(address, tables) as store, store.transaction(TX_SECONDS) as opened:
        yield within(opened, Settings())


def events(story: Story) -> list[Raw]:
    """The log's messages of a story."""
    return [Raw(encode(each), offset=at, content_type=CONTENT_TYPE) for at, each in enumerate(story.envelopes)]


def facts(*found: object, offset: int = 0) -> Raw:
    """One message of the receipts stream."""
    return Raw(json.dumps(found).encode(), offset=offset, content_type="application/json")


async def lines(tx: Tx[Settings]) -> list[Line]:
    """The summaries of all flows."""
    db = await tx.db()
    return (await list_flows(db, Filter(limit=200), await knowledge(db))).lines


async def own(tx: Tx[Settings]) -> Own:
    """How the tracer itself stands at the transaction's moment."""
    return await own_state(await tx.db(), tx.time, Bounds(168, 20e9))


async def count(tx: Tx[Settings], table: str) -> int:
    """Rows of a table."""
    db = await tx.db()
    return int((await db.execute(select(func.count()).select_from(tables.tables[table]))).scalar_one())


async def test_stories_become_flows(tx: Tx[Settings]) -> None:
    """Events and receipts become folded summaries, the newest first."""
    told = [happy(1), rejected(2, START + timedelta(seconds=60)), mail_dead(3, START + timedelta(seconds=120))]
    await read_receipts([facts(*MANIFESTS)], tx)
    for story in told:
        await read_log(events(story), tx)
        await read_receipts([facts(*story.receipts)], tx)
    found = await lines(tx)
    assert [(each.subject, each.state, each.dead) for each in found] == [
        ("order/3", "open-letter", 1),
        ("order/2", "compensated", 0),
        ("order/1", "done", 0),
    ]
    assert found[2].type == "order.placed"
    assert found[2].events == 4


def _elsewhere(raw: Raw) -> Raw:
    """The same as a second copy: it stands at another place of the stream."""
    return Raw(raw.body, raw.headers, (raw.offset or 0) + 1000, raw.content_type, raw.routing_key)


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_and_any_double_end_the_same(seed: int) -> None:
    """RULES 1.7, 7.4: the store ends the same whatever order facts come in and however often, at whatever offsets."""
    chance = random.Random(seed)
    stories = [happy(1), rejected(2), rejected(3, undo="dead"), mail_dead(4), happy(5).until(1.5)]
    ends = []
    for shuffled in (False, True):
        tx = fake_tx(uses=Settings(), tables=tables)
        batches: list[tuple[str, list[Raw]]] = [("receipts", [facts(each)]) for each in MANIFESTS]
        for story in stories:
            batches += [("log", [each]) for each in events(story)]
            batches += [("receipts", [facts(each)]) for each in story.receipts]
        if shuffled:
            doubles = [(stream, [_elsewhere(each) for each in batch]) for stream, batch in chance.sample(batches, 20)]
            batches += doubles
            chance.shuffle(batches)
        for stream, batch in batches:
            await (read_log if stream == "log" else read_receipts)(batch, tx)
        ends.append(await lines(tx))
    assert ends[0] == ends[1]


async def test_what_cannot_be_read_is_kept_aside(tx: Tx[Settings]) -> None:
    """One bad fact is set aside with its reason, its neighbours are kept."""
    good = happy(1)
    await read_log([Raw(b"\xff{", offset=0), *events(good)], tx)
    await read_receipts(
        [
            Raw(b"[", offset=1),
            Raw(b"{}", offset=2),
            facts(good.receipts[0], {"kind": "news"}, {"kind": "receipt"}, offset=3),
        ],
        tx,
    )
    db = await tx.db()
    kept = (await db.execute(select(aside.c.stream, aside.c.place, aside.c.why))).all()
    assert [(each.stream, each.place.lstrip("0")) for each in kept] == [
        ("log", ""), ("receipts", "1"), ("receipts", "2"), ("receipts", "3/1"), ("receipts", "3/2"),
    ]  # fmt: skip
    kinds = "receipt, manifest, heartbeat, breaker, retired, webhook, webhooks, drift"
    assert kept[3].why == f"kind: must be one of {kinds}"
    assert kept[4].why == "service: Field required"
    assert await count(tx, "receipts") == 1
    assert await count(tx, "events") == 4
    assert (await own(tx)).aside == 5


async def test_a_message_without_bound_is_set_aside(tx: Tx[Settings]) -> None:
    """More facts in one message than the bound are not read one by one."""
    await read_receipts([facts(*[{}] * (MAX_FACTS_PER_MESSAGE + 1))], tx)
    assert await count(tx, "aside") == 1
    await read_receipts([Raw(b"[" * 100_000, offset=9)], tx)
    assert await count(tx, "aside") == 2


async def test_a_later_manifest_changes_what_was_said_since(tx: Tx[Settings]) -> None:
    """RULES 7.6: a manifest that comes late is judged by its own time, flows of that time are folded again."""
    story = happy(1)
    await read_receipts([facts(*MANIFESTS)], tx)
    await read_log(events(story), tx)
    await read_receipts([facts(*story.receipts)], tx)
    assert (await lines(tx))[0].state == "done"
    late = manifest("crm", "team-growth", subscription("crm.record", ["order.placed"]))
    await read_receipts([facts({**late, "time": rfc3339(START + timedelta(seconds=1))})], tx)
    assert (await lines(tx))[0].state == "done"
    await read_receipts([facts(late)], tx)
    [line] = await lines(tx)
    assert (line.state, line.waits) == ("running", "crm.record")


async def test_the_newest_heartbeat_counts(tx: Tx[Settings]) -> None:
    """Of each instance the newest heartbeat is kept, whatever order they come in."""
    beats = [
        {
            "kind": "heartbeat",
            "service": "payments",
            "instance": "p-1",
            "time": rfc3339(START + timedelta(seconds=at)),
            "version": str(at),
            "breakers": {"card-api": {"state": "open" if at == 20 else "closed"}},
        }
        for at in (10, 20, 0)
    ]
    for each in beats:
        await read_receipts([facts(each)], tx)
    db = await tx.db()
    found = await heartbeats_of(db)
    assert [each.version for each in found] == ["20"]
    assert [each.state for each in breakers_of(found)] == ["open"]


async def test_how_far_behind_the_tracer_is(tx: Tx[Settings]) -> None:
    """The lag is how old the newest fact was when it was read; nothing read is said to be nothing."""
    assert (await own(tx)).behind is None
    early = {"kind": "heartbeat", "service": "a", "time": rfc3339(tx.time - timedelta(seconds=12))}
    await read_receipts([facts(early)], tx)
    assert (await own(tx)).behind == pytest.approx(12, abs=0.01)


async def test_more_flows_than_one_fold_takes_are_folded_later(
    tx: Tx[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction folds a bounded number of flows; the rest follows with the next batches and is counted."""
    monkeypatch.setattr(summaries, "FOLD_LIMIT", 2)
    await read_log([each for number in range(5) for each in events(happy(number + 1).until(0))], tx)
    assert (await own(tx)).unfolded == 3
    await read_log([Raw(b"", offset=98)], tx)
    await read_log([Raw(b"", offset=99)], tx)
    assert (await own(tx)).unfolded == 0


@pytest.mark.parametrize(
    "hostile",
    [
        {"subject": "order/\x00"},
        {"correlationid": "\x00"},
        {"error": "NUL \x00 inside"},
        {"subscription": "ü" * 1000, "boot": "ü" * 1000},
        {"kind": "heartbeat", "service": "ß" * 900, "instance": "ß" * 900},
        {"kind": "heartbeat", "breakers": {"\x00": {"state": 7}}},
        {"kind": "\x00"},
        {"reached": ["".join(chr(0x10000 + random.Random(at).randrange(0x10000)) for at in range(1000))]},
        {"timer": {"flow": "".join(chr(0x10000 + random.Random(at).randrange(0x10000)) for at in range(1000))}},
        {"kind": "breaker", "state": "open", "name": "ü" * 1000, "service": "ß" * 900},
        {"kind": "breaker", "state": "open", "name": "rope", "reason": "NUL \x00 inside", "by": "\ud800"},
    ],
)
async def test_what_no_database_takes_is_set_aside(tx: Tx[Settings], hostile: dict[str, object]) -> None:
    """A NUL, or names longer than PostgreSQL takes into an index, stop no reader; the neighbours are kept."""
    story = happy(2)
    await read_receipts([facts(story.receipts[0], {**happy(1).receipts[0], **hostile}, story.receipts[1])], tx)
    assert await count(tx, "receipts") + await count(tx, "aside") == 3
    assert await count(tx, "receipts") >= 2


async def test_a_manifest_of_any_length_is_kept(tx: Tx[Settings]) -> None:
    """A service with hundreds of subscriptions is known like any other, and its repeated manifest is the same one."""
    many = [subscription(f"crm.{random.Random(at).getrandbits(256):x}", ["order.placed"]) for at in range(400)]
    for at in (0, 3600):
        told = manifest("crm", "team-growth", *many)
        await read_receipts([facts({**told, "time": rfc3339(START + timedelta(seconds=at))})], tx)
    [(known, first)] = await all_manifests(await tx.db())
    assert len(known.subscriptions) == 400
    assert (known.time - first).total_seconds() == 3600


async def test_both_readers_at_once_leave_no_flow_behind(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 7.1: the two readers write the same flows at the same time, and in the end every flow is folded right."""
    monkeypatch.setattr(summaries, "FOLD_LIMIT", 7)
    stories = [happy(number + 1) for number in range(ROUNDS)]
    async with store_at(address, tables) as store:

        async def read(reader: Reader, batches: list[list[Raw]]) -> None:
            for batch in batches:
                async with store.transaction() as tx:
                    await reader(batch, within(tx, Settings()))

        several = [stories[at : at + 10] for at in range(0, ROUNDS, 10)]
        said = [[raw for story in some for raw in events(story)] for some in several]
        told = [[facts(*story.receipts) for story in some] for some in several]
        await asyncio.gather(read(read_log, said), read(read_receipts, [[facts(*MANIFESTS)], *told]))
        async with store.transaction() as tx:
            db = await tx.db()
            while await fold_unfolded(db, datetime.now(UTC)):
                pass
            found = await lines(within(tx, Settings()))
    assert [each.state for each in found] == ["done"] * ROUNDS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FACT = {
    **happy(1).receipts[0], "waiting": {"events": 1}, "breakers": {"x": {"state": "open"}}, "sensitive": {},
    "owner": "t", "subscriptions": MANIFESTS[1]["subscriptions"],
}  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(["receipt", "manifest", "heartbeat"]), field=st.sampled_from(sorted(FACT)), value=JSON)
async def test_no_fact_stops_the_reader(kind: str, field: str, value: object) -> None:
    """Whatever stands in one field, the batch is read: the fact is kept or set aside, its flow can be told."""
    tx = fake_tx(uses=Settings(), tables=tables)
    await read_receipts([facts(happy(2).receipts[0], {**FACT, "kind": kind, field: value})], tx)
    db = await tx.db()
    known = await knowledge(db)
    for id in (await db.execute(select(flows.c.id))).scalars():
        flow = await flow_of(db, id, known)
        assert flow is not None
        assert json.dumps(flow_json(flow, known, tx.time))
        draw(flow, tx.time, known.owner)
    assert await heartbeats_of(db) is not None
