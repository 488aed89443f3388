"""Reads of a projection: one snapshot, tokens, and what is refused."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from hocket import Tx, View
from hocket.envelope.token import Fact, encode_token
from hocket.errors import BadToken, HocketError, NotYetRead
from hocket.runtime import here
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.view_service import meta, reading, ring_service, rows

FILLED = timedelta(seconds=90)


async def test_a_view_is_one_snapshot(tower: Processes) -> None:
    """RULES 14.6: what is handled meanwhile is not seen, and nothing can be written."""
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    async with reading(worker, 1) as view:
        table = view.table(rows)
        assert (await view.db.execute(select(table))).all() == []
        await tower.hear(Rung(name="a"), "k1")
        await tower.quiet()
        assert (await view.db.execute(select(table))).all() == []
        with pytest.raises(HocketError, match=r"write through `await tx.db\(\)`"):
            await view.db.execute(insert(table), {"name": "b", "many": 1})
    async with reading(worker, 1) as view:
        assert [tuple(row) for row in await view.db.execute(select(view.table(rows)))] == [("a", 1)]
        assert view.lag < timedelta(seconds=5)
        with pytest.raises(HocketError, match="was declared with rings; add the table there"):
            view.table(meta.tables["others"])


async def test_a_token_waits_for_what_was_said(tower: Processes) -> None:
    """RULES 14.7: until each fact is final here; what it does not hear is ignored; in time, else `NotYetRead`."""
    release = asyncio.Event()

    async def before(rung: Rung, tx: Tx) -> None:
        await release.wait()

    worker = await tower.start(ring_service(1, before=before))
    await tower.advance(FILLED)
    token = encode_token([Fact("/post", "bell.rung", "k1"), Fact("/post", "bell.unheard", "k2")])
    await tower.hear(Rung(name="a"), "k1")
    with pytest.raises(NotYetRead, match="does not hold yet"):
        async with reading(worker, 1, token):
            pass
    waiting = asyncio.create_task(first_row(reading(worker, 1, token)))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    release.set()
    assert await waiting == ("a", 1)


async def first_row(asked: AbstractAsyncContextManager[View]) -> tuple[object, ...]:
    """What a reader gets."""
    async with asked as view:
        return tuple((await view.db.execute(select(view.table(rows)))).one())


async def test_what_readers_are_refused(tower: Processes) -> None:
    """RULES 14.6, 14.7: a foreign token; a function that is no projection; a wait out of bounds."""
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    with pytest.raises(BadToken):
        async with reading(worker, 1, "mine"):
            pass
    with pytest.raises(HocketError, match="out of bounds"):
        async with reading(worker, 1, within=timedelta(hours=1)):
            pass
    with here({"shop": worker}), pytest.raises(HocketError, match="this is no projection of the service"):
        worker.service.reading(first_row)


async def test_tables_are_for_projections(tower: Processes) -> None:
    """RULES 14.1: a projection calls nobody; a table that it does not name is refused with the way out."""
    found: list[str] = []

    async def before(rung: Rung, tx: Tx) -> None:
        for refuse, table in ((tx.table, meta.tables["others"]), (tx.former, rows)):
            with pytest.raises(HocketError) as refused:
                refuse(table)
            found.append(str(refused.value))

    await tower.start(ring_service(1, before=before))
    await tower.advance(FILLED)
    await tower.hear(Rung(name="a"), "k1")
    await tower.quiet()
    assert "was declared with rings" in found[0]
    assert "seed= of a projection" in found[1]
