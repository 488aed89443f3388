"""The rows of kept and refused webhooks, and how long they stay."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from hocket.store.port import Store
from hocket.store.tables.webhooks import WEBHOOKS
from hocket.worker.webhooks import kept
from hocket.worker.webhooks.kept import KeptRow
from tests.hocket.worker.webhooks.running import running


def row(id: str, state: str, updated: float, body: bytes = b"{}") -> KeptRow:
    """A row."""
    return KeptRow(
        id, "crm", id, state, "mapping", "", "flow", id.encode(), b"h", body, len(body), "{}", "[]", 0.0, 0, 0, "",
        updated, updated,
    )  # fmt: skip


async def written(store: Store, *rows: KeptRow) -> None:
    """Write these."""
    async with store.transaction() as tx:
        for each in rows:
            await kept.insert(await tx.db(), each)


async def left(store: Store) -> set[str]:
    """The ids that are there."""
    async with store.read() as db:
        return set((await db.execute(sa.select(WEBHOOKS.c.id))).scalars())


async def test_only_what_is_final_is_forgotten(tmp_path: Path) -> None:
    """RULES 12.2: samples after 7 days, settled ones with the inbox, open ones never."""
    day = 86_400.0
    async with running(tmp_path) as door:
        store = door.part.store
        states = {"kept": 0.0, "refused": 3 * day, "young": 4 * day, "said": 0.0, "seen": 6 * day}
        named = {"young": "refused"}
        await written(store, *(row(id, named.get(id, id), at) for id, at in states.items()))
        assert await kept.forget(store, 10.5 * day, 5 * day, 100) == 2
        assert await left(store) == {"kept", "young", "seen"}
        assert await kept.forget(store, 10.5 * day, 5 * day, 100) == 0


async def test_the_sweep_forgets_them(tmp_path: Path) -> None:
    """RULES 12.2: the service's own retention does it."""
    async with running(tmp_path, owner_renew_seconds=0.0) as door:
        await written(door.part.store, row("old", "said", 1.0), row("open", "kept", 1.0))
        await door.part.worker.sweeper.sweep()
        assert await left(door.part.store) == {"open"}


async def test_all_samples_have_a_bound_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.2: the oldest give way; what is kept is no sample."""
    monkeypatch.setattr(kept, "ALL_SAMPLES_BYTES", 250)
    monkeypatch.setattr(kept, "DROPPED_AT_ONCE", 1)
    async with running(tmp_path) as door:
        store = door.part.store
        await written(store, row("kept", "kept", 0.0, b"x" * 900))
        await written(store, *(row(f"s{n}", "refused", float(n), b"x" * 100) for n in range(2)))
        async with store.transaction() as tx:
            await kept.make_room(await tx.db(), 100)
        assert await left(store) == {"kept", "s1"}


async def test_a_beginning_of_an_id_names_one_row(tmp_path: Path) -> None:
    """RULES 12.9: unless two begin so; signs of a pattern are only signs."""
    async with running(tmp_path) as door:
        await written(door.part.store, row("abc1", "kept", 0.0), row("abd2", "kept", 0.0))
        async with door.part.store.read() as db:
            found = [await kept.one(db, id) for id in ("abc", "ab", "a_c", "%", "abd2")]
        assert [each.id if each else "" for each in found] == ["abc1", "", "", "", "abd2"]
