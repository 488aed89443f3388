"""What settles a letter for good: acts that are told, refused acts, counts, forgetting; and a second desk."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hocket.clock import SystemClock
from hocket.console.named_values import set_value
from services.deadletters.keep import forgetting
from services.deadletters.keep.forgetting import FORGOTTEN, forget
from services.deadletters.keep.reports import keep_desk
from services.deadletters.keep.tables import marks
from tests.services.deadletters.running_desk import RunningDesk, dead, manifest, receipt, running_desk


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A running desk without letters."""
    async with running_desk(address) as made:
        yield made


async def test_a_discard_says_so_on_the_receipts_stream(desk: RunningDesk) -> None:
    """RULES 8.2: an operator's act is a fact: who settled which delivery and why leaves with the commit of the act."""
    await desk.dead(dead())
    await desk.act("letter-1", "discard", 200, "sent by hand")
    async with desk.store.read() as db:
        [body] = await db.scalars(sa.text("SELECT body FROM hocket_outbox WHERE kind = 'receipt'"))
    told = json.loads(body)
    assert {
        "outcome": "discarded", "subscription": "crm.record_order", "attempt": 5, "correlationid": "flow-1",
        "reason": "sent by hand", "death": "letter-1", "kind": "receipt", "service": "deadletters",
    }.items() <= told[0].items()  # fmt: skip
    assert told[0]["by"]
    assert told[0]["event"]["id"] == "event-1"


async def test_a_stale_receipt_settles(desk: RunningDesk) -> None:
    """RULES 8.2, 15.2: a newer one of its subject was handled, so the letter asks nothing of anybody."""
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    await desk.told(receipt(1, 6, "stale", replay=desk.sent[0][3]))
    assert (await desk.letter("letter-1"))["state"] == "obsolete"
    refused = await desk.act("letter-1", "replay", 409)
    assert refused["error"] == "It is stale: a newer one of its subject was handled, so nothing is sent."


async def test_a_replay_to_nobody_is_refused_at_once(desk: RunningDesk) -> None:
    """RULES 8.4: a subscription that its service no longer lists: 409 and nothing is sent; a discard is taken."""
    await desk.told(manifest(subscriptions=[]))
    await desk.dead(dead())
    refused = await desk.act("letter-1", "replay", 409)
    assert "no longer lists crm.record_order" in refused["error"]
    assert desk.sent == []
    await desk.act("letter-1", "discard", 200)


async def test_a_letter_under_replay_is_not_discarded(desk: RunningDesk) -> None:
    """What was sent cannot be called back, so a discard is refused; page and program say the same."""
    await desk.told(manifest())
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    assert "cannot be called back" in (await desk.act("letter-1", "discard", 409))["error"]
    async with desk.http.get("/letters/letter-1/discard") as answer:
        assert "cannot be called back" in await answer.text()


async def test_another_desk_with_a_database_of_its_own_is_said(desk: RunningDesk) -> None:
    """Two desks share the queue of letters: unless both keep them in one database, each has only a part."""
    async with desk.store.transaction() as tx:
        db = await tx.db()
        now = SystemClock().now().timestamp()
        await keep_desk(db, "replica", "deadletters-2", now - 20, mine=True)
        for boot, first in (("replica", now - 20), ("stranger", now - 20), ("starting", now)):
            await keep_desk(db, boot, f"deadletters-{boot}", first, mine=False)
            await keep_desk(db, boot, f"deadletters-{boot}", now, mine=False)
    async with desk.http.get("/") as answer:
        text = await answer.text()
    assert "Another desk (deadletters-stranger) takes letters into a database of its own" in text


async def test_settled_letters_are_forgotten_in_time(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`DESK_KEEP_DAYS` after its last death a settled letter is gone with all of it; an open one stays."""
    await desk.told(manifest())
    await desk.dead(*(dead(number) for number in range(1, 5)))
    for number in range(1, 4):
        await desk.act(f"letter-{number}", "discard", 200)
    monkeypatch.setattr(forgetting, "STEP", 2)
    now = SystemClock().now()
    gone = []
    async with desk.store.transaction() as tx:
        db = await tx.db()
        await set_value(db, marks, FORGOTTEN, "0")
        for at in (now, now + timedelta(days=400), now + timedelta(days=401), now + timedelta(days=402)):
            gone.append(await forget(db, timedelta(days=90), at))
            await set_value(db, marks, FORGOTTEN, "0")
    assert gone == [0, 2, 1, 0]
    found = await desk.letters()
    assert [each["id"] for each in found["letters"]] == ["letter-4"]
    assert found["counts"] == {"pending": 1, "replaying": 0, "handled": 0, "discarded": 0, "obsolete": 0}


async def test_counts_are_kept_not_counted(desk: RunningDesk) -> None:
    """The kept counts are what counting would give, after deaths, acts, receipts and second deaths."""
    await desk.told(manifest())
    await desk.dead(*(dead(number) for number in range(1, 6)))
    await desk.act("letter-1", "discard", 200)
    await desk.act("letter-2", "replay", 202)
    await desk.told(receipt(3, 6), receipt(4, 6, "obsolete"))
    await desk.dead(dead(3, 10))
    found = await desk.letters()
    counted = Counter(each["state"] for each in found["letters"])
    assert {name: many for name, many in found["counts"].items() if many} == counted
    assert sum(counted.values()) == 5
