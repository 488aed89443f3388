"""`hocket outbox`: what waits and why, also beside a running service; and publishing refused rows again."""

import json
from pathlib import Path

import pytest

from hocket.clock import SystemClock
from hocket.store.records import Ending
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract.fixtures import outbox_row
from tests.hocket.cli.terminal import Terminal


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    """The open store of a service `orders`, with something due, something later and something refused."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    made = SqliteStore(str(tmp_path / "orders.db"), clock=SystemClock(), boot="boot-1", inline=True)
    await made.open()
    rows = (outbox_row("a.due"), outbox_row("b.later", wait=90), outbox_row("c.big"))
    [written] = await made.commit([Ending(outbox=rows)])
    await made.refuse(written.outbox[2].id, "PRECONDITION_FAILED - message size too large")
    return made


async def test_it_shows_what_waits_and_why(hocket: Terminal, store: SqliteStore) -> None:
    """RULES 4.3: beside the running service: counts, then the refused rows first, each with its reason."""
    ended = hocket("outbox", "orders")
    await store.close()
    assert ended.status == 0
    counts, rows = ended.out.strip().split("\n\n")
    assert [line.split()[:3] for line in counts.splitlines()[1:]] == [
        ["event", "due", "1"],
        ["event", "later", "1"],
        ["event", "refused", "1"],
    ]
    big, due, later = rows.splitlines()[1:]
    assert "c.big" in big
    assert (
        "refused it for good: PRECONDITION_FAILED - message size too large; fix the cause, then give --retry 3" in big
    )
    assert "waits for the broker's confirm; the process with boot id boot-1 has it" in due
    assert "it is due in " in later


async def test_a_refused_row_is_published_again(hocket: Terminal, store: SqliteStore) -> None:
    """RULES 4.3: it has no owner any more, so that the running service claims it at its next poll."""
    none = hocket("outbox", "orders", "--retry", "1")
    assert none.status == 1
    assert "none of these is refused by the broker; `hocket outbox --refused` lists those that are" in none.out
    ended = hocket("outbox", "orders", "--retry", "3")
    assert (ended.status, ended.out) == (0, "1 rows will be published again.\n")
    claimed = await store.due(None, 10)
    assert [row.message.routing_key for row in claimed] == ["c.big"]
    assert (await store.waiting()).refused == 0
    await store.close()


async def test_all_refused_rows_and_json(hocket: Terminal, store: SqliteStore, tmp_path: Path) -> None:
    """By the database's address, as JSON; only the refused ones, then all of them again."""
    there = f"sqlite:///{tmp_path}/orders.db"
    shown = json.loads(hocket("outbox", there, "--json", "--refused").out)
    assert [row["to"] for row in shown["rows"]] == ["hocket.events c.big"]
    assert {(each["state"], each["rows"]) for each in shown["counts"]} == {("due", 1), ("later", 1), ("refused", 1)}
    assert json.loads(hocket("outbox", there, "--json", "--retry-refused").out) == {"freed": 1}
    await store.close()


async def test_an_empty_outbox(hocket: Terminal, store: SqliteStore) -> None:
    """An empty outbox prints one sentence."""
    await store.forget([1, 2, 3])
    assert hocket("outbox", "orders").out == "Nothing waits.\n"
    await store.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--retry", "xyz"), "'xyz' is not a whole number from 1 to 9223372036854775807"),
        (("--retry", "9" * 30), "is not a whole number from 1 to 9223372036854775807"),
        (("--retry", "0"), "'0' is not a whole number from 1 to 9223372036854775807"),
        (("--limit", "many"), "'many' is not a whole number from 1 to 1000"),
    ],
)
async def test_a_number_that_cannot_be_meant_is_one_sentence(
    hocket: Terminal, store: SqliteStore, words: tuple[str, ...], sentence: str
) -> None:
    """Status 2, the option and what is allowed, in no library's words."""
    ended = hocket("outbox", "orders", *words)
    await store.close()
    assert (ended.status, ended.out) == (2, "")
    assert sentence in ended.err
    assert f"Invalid value for '{words[0]}'" in ended.err


def test_what_has_no_outbox(hocket: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that never ran, a file that is not a database of hocket, another kind of database: status 2."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    assert "name a service that has run here" in hocket("outbox", "nobody").err
    (tmp_path / "other.db").write_bytes(b"")
    assert "has no outbox" in hocket("outbox", "other").err
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    assert "is not an SQLite database" in hocket("outbox", "text").err
    assert "the name is empty; name a service" in hocket("outbox", "").err
    ended = hocket("outbox", "postgresql://u:hunter2@127.0.0.1:port/x")
    assert (ended.status, "hunter2" in ended.err, "literal" in ended.err) == (2, False, False)
    assert "see HOCKET_DATABASE_URL (its host or port is not valid)" in ended.err
    ended = hocket("outbox", "mysql://x/y")
    assert (ended.status, "name sqlite:///PATH" in ended.err) == (2, True)
