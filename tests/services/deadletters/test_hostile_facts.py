"""What strangers say on the receipts stream: nothing breaks the desk, nothing unmasks a letter."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hocket.clock import SystemClock, rfc3339
from hocket.observe import Raw
from services.deadletters.handlers import settle
from services.deadletters.service import Settings
from tests.services.databases import within
from tests.services.deadletters.running_desk import RunningDesk, dead, manifest, receipt, running_desk


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A running desk without letters."""
    async with running_desk(address) as made:
        yield made


HEARTBEAT = {
    "kind": "heartbeat", "service": "crm", "instance": "crm-1", "boot": "b", "time": "2026-11-10T13:42:00Z",
    "version": "1", "waiting": {"events": 1}, "breakers": {"crm-api": {"state": "open"}}, "shed": 0,
}  # fmt: skip
FACTS = {"receipt": receipt(1, 6, replay="r"), "manifest": manifest(), "heartbeat": HEARTBEAT}
TEXT = st.text(max_size=20) | st.sampled_from(
    ["\ud800", "\x00", "x" * 5000, "9999-12-31T23:59:59-23:59", "../..", "order.placed/1"]
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_fact_breaks_a_letter_or_unmasks_it(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any fact with any field missing or of any value: the letter is answered, its sensitive field masked."""
    kind = data.draw(st.sampled_from(sorted(FACTS)))
    fact = dict(FACTS[kind])
    for field in data.draw(st.lists(st.sampled_from(sorted(fact)), min_size=1, max_size=3, unique=True)):
        if field == "kind" or data.draw(st.booleans()):
            fact.pop(field)
        else:
            fact[field] = data.draw(VALUE)
    folder: Path = tmp_path_factory.mktemp("desk")
    async with running_desk(f"sqlite:///{folder}/desk.db") as desk:
        await desk.told(manifest(time="2026-11-10T13:40:00Z"))
        await desk.dead(dead())
        await desk.told(fact)
        letter = await desk.letter("letter-1")
        assert "ada1@example.com" not in json.dumps(letter)
        for path in ("/", "/letters", "/letters/letter-1", "/letters/letter-1/replay", "/api/dead"):
            async with desk.http.get(path) as answer:
                assert answer.status == 200, await answer.text()
                assert "ada1@example.com" not in await answer.text()
        await desk.told(manifest(owner="team-later"))


@pytest.mark.parametrize(
    "changed",
    [
        {"subscriptions": [{"name": "crm.record_order", "hears": "abc"}]},
        {"subscriptions": [{"hears": [["order.placed", 1]]}]},
        {"says": [["order.placed"]]},
        {"sensitive": {"order.placed/1": "email"}},
        {"time": "tomorrow"},
        {"service": 7},
    ],
)
async def test_an_invalid_manifest_is_set_aside(desk: RunningDesk, changed: dict[str, object]) -> None:
    """It changes nothing, is counted on the first page, and its neighbour in the same message is taken."""
    await desk.dead(dead())
    await desk.told({**manifest(), **changed}, manifest(owner="team-growth"))
    letter = await desk.letter("letter-1")
    assert (letter["owner"], letter["masked"]) == ("team-growth", ["email"])
    async with desk.http.get("/") as answer:
        assert "1 invalid facts of the receipts stream were set aside" in await answer.text()


async def test_a_later_manifest_unmasks_nothing(desk: RunningDesk) -> None:
    """A field once declared sensitive stays masked, whatever a manifest in the same name leaves out, at any time."""
    await desk.told(manifest())
    await desk.dead(dead())
    ahead = rfc3339(SystemClock().now() + timedelta(days=400))
    for stranger in (
        manifest(sensitive={}),
        manifest(sensitive={}, time=ahead),
        manifest(service="evil", sensitive={}),
    ):
        await desk.told(stranger)
    letter = await desk.letter("letter-1")
    assert letter["masked"] == ["email"]


async def test_a_time_ahead_silences_nothing(desk: RunningDesk) -> None:
    """A manifest of next year counts as of now: the next one, of its own time, is taken."""
    ahead = rfc3339(SystemClock().now() + timedelta(days=400))
    await desk.told(manifest(time=ahead, owner="team-ahead"))
    await desk.told(manifest(owner="team-now"))
    await desk.dead(dead())
    assert (await desk.letter("letter-1"))["owner"] == "team-now"


async def test_times_are_compared_as_times(desk: RunningDesk) -> None:
    """The same moment in another zone or with fewer digits is neither earlier nor later because of its text."""
    await desk.told(manifest(time="2026-11-10T14:50:00+01:00", owner="team-earlier"))
    await desk.told(manifest(time="2026-11-10T13:55:00Z", owner="team-later"))
    await desk.dead(dead())
    assert (await desk.letter("letter-1"))["owner"] == "team-later"


async def test_bytes_that_are_no_facts_are_set_aside(desk: RunningDesk) -> None:
    """Neither JSON nor an array: kept aside, the reader goes on."""
    async with desk.store.transaction() as tx:
        await settle(
            [Raw(b"\xff", offset=1), Raw(b"{}", offset=2), Raw(b"[" * 100_000, offset=3)], within(tx, Settings())
        )
    async with desk.http.get("/") as answer:
        assert "3 invalid facts" in await answer.text()
