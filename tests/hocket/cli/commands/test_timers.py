"""`hocket timers` on a service that does not run: its store is opened."""

import json
from pathlib import Path

import pytest

from hocket.broker.port import Message
from hocket.clock import SystemClock
from hocket.envelope import Envelope, encode
from hocket.store.records import Ending, OutboxRow, RowKind
from hocket.store.sqlite.store import SqliteStore
from tests.hocket.cli.terminal import Terminal


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with one scheduled event."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="b")
    await store.open()
    body = encode(Envelope("e", "/shop", "shop.reminded", 1, "order/2", SystemClock().now(), "flow", "e", {}))
    message = Message("shop", "shop.reminded.v1", body, "application/cloudevents+json", type="shop.reminded")
    await store.commit([Ending(outbox=(OutboxRow(RowKind.SCHEDULED, message, 0.0, wait=3600.0),))])
    await store.close()


@pytest.mark.usefixtures("shop")
def test_what_waits_is_shown_moved_and_cancelled(hocket: Terminal) -> None:
    """Each with its id; what is gone is told, with status 1."""
    ended = hocket("timers", "list", "shop", "--json")
    [row] = json.loads(ended.out)
    assert (row["kind"], row["subject"], row["type"]) == ("scheduled", "order/2", "shop.reminded")
    assert "scheduled" in hocket("timers", "list", "shop", "--subject", "order/2").out
    assert hocket("timers", "list", "shop", "--kind", "retry").out == "Nothing waits.\n"
    ended = hocket("timers", "move", "shop", row["id"], "--in", "2h", "--reason", "later")
    assert ended.out == f"scheduled {row['id']} is due in 7200 s.\n"
    ended = hocket("timers", "cancel", "shop", row["id"], "--reason", "not wanted")
    assert (ended.status, ended.out) == (0, f"scheduled {row['id']} is cancelled.\n")
    ended = hocket("timers", "cancel", "shop", row["id"], "--reason", "not wanted")
    assert ended.status == 1
    assert ended.err.startswith("hocket: nothing waits under the id")


@pytest.mark.usefixtures("shop")
def test_a_time_is_a_number_with_its_unit(hocket: Terminal) -> None:
    """Else the command is invalid."""
    ended = hocket("timers", "move", "shop", "1", "--in", "soon", "--reason", "x")
    assert ended.status == 2
    assert "soon is not a time; give a number with its unit" in ended.err
