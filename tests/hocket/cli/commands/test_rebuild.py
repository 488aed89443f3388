"""`hocket rebuild` on a service that does not run: its store is opened."""

import json
from pathlib import Path

import pytest

from hocket.clock import SystemClock
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, GenerationState
from hocket.store.sqlite.store import SqliteStore
from tests.hocket.cli.terminal import Terminal


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with a projection of which one generation serves."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    store = SqliteStore(str(tmp_path / "shop.db"), clock=SystemClock(), boot="b")
    await store.open()
    async with store.transaction() as tx:
        await rows.write(await tx.db(), [], [Generation("view", 1, 3, GenerationState.SERVING, made=True)], 1.0)
    await store.close()


@pytest.mark.usefixtures("shop")
def test_a_rebuild_is_begun_shown_and_let_in(hocket: Terminal) -> None:
    """RULES 14.1, 14.2: the next generation has the version that serves; a second one needs --again."""
    begun = hocket("rebuild", "shop.view")
    assert begun.status == 0
    assert "Generation 2 of shop.view (version 3) is being built." in begun.out
    refused = hocket("rebuild", "shop.view")
    assert refused.status == 1
    assert "generation 2 of view is being built already" in refused.err
    assert hocket("rebuild", "shop.view", "--again").status == 0
    assert hocket("rebuild", "shop.view", "--swap-anyway").status == 0
    shown = json.loads(hocket("rebuild", "shop.view", "--show", "--json").out)
    assert {each["n"]: each["state"] for each in shown} == {1: "serving", 2: "dropped", 3: "building"}


@pytest.mark.usefixtures("shop")
def test_what_is_invalid_is_told(hocket: Terminal) -> None:
    """Status 2 for a name that is none, 1 for a projection that there is not."""
    assert hocket("rebuild", "shop").status == 2
    ended = hocket("rebuild", "shop.veiw")
    assert ended.status == 1
    assert "no projection veiw that serves; it has view" in ended.err
