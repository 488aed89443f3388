"""`hocket backfill` on a service that does not run: its store is opened."""

import json
from pathlib import Path

import pytest

from hocket.clock import SystemClock
from hocket.store.sqlite.store import SqliteStore
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import Backfill, Phase
from tests.hocket.cli.terminal import Terminal


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with a backfill that is paused, and one that has failed."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="b")
    await store.open()
    rows = BackfillRows(store)
    await rows.note(Backfill("shop.mails", "1", Phase.PAUSED, letters=100, reason="100 events ended as dead letters"))
    await rows.note(Backfill("shop.history", "2", Phase.FAILED, start=3, next=9, reason="the log was cut"))
    await store.close()


@pytest.mark.usefixtures("shop")
def test_what_waits_for_a_person_is_shown_and_goes_on(hocket: Terminal) -> None:
    """RULES 7.5 d, h: a failed one by its gap, a paused one by itself; each command is for one of them."""
    shown = hocket("backfill", "shop").out
    assert "shop.mails" in shown
    assert "the log was cut" in shown
    refused = hocket("backfill", "shop.history", "--go-on")
    assert refused.status == 1
    assert "is failed; --go-on lets a paused one go on" in refused.err
    assert hocket("backfill", "shop.history", "--accept-gap").status == 0
    assert hocket("backfill", "shop.mails", "--go-on").status == 0
    found = json.loads(hocket("backfill", "shop", "--json").out)
    assert {each["subscription"]: each["phase"] for each in found} == {
        "shop.mails": "reading",
        "shop.history": "reading",
    }


@pytest.mark.usefixtures("shop")
def test_what_is_invalid_is_told(hocket: Terminal) -> None:
    """Status 2 for a command that makes no sense, 1 for a subscription that heard no history."""
    assert hocket("backfill", "shop", "--go-on").status == 2
    assert hocket("backfill", "shop.history", "--go-on", "--accept-gap").status == 2
    ended = hocket("backfill", "shop.other", "--go-on")
    assert ended.status == 1
    assert "shop.history, shop.mails" in ended.err
