"""A service with a projection in several versions, for the tests of this folder."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite

from hocket import Retry, Service, Tx, View
from hocket.runtime import here
from hocket.worker.worker import Worker
from tests.hocket.sample_services import Rung

meta = MetaData()
rows = Table("rings", meta, Column("name", Text, primary_key=True), Column("many", Integer, index=True, nullable=False))
others = Table("others", meta, Column("name", Text, primary_key=True))

Before = Callable[[Rung, Tx], Any]


async def nothing(rung: Rung, tx: Tx) -> None:
    """Do nothing."""


def ring_service(*versions: int, before: Before = nothing, seed: Any = None, **more: Any) -> Service[None]:
    """A service `shop` whose projection `view` counts rings by name; version n counts each n times.

    `before` runs at the begin of each run of the highest version.
    """
    service = Service("shop", owner="team", tables=meta)

    def declare(version: int) -> None:
        options: dict[str, Any] = {"name": "view", "version": version, "retry": Retry(retries=0), **more}
        if seed is not None and version == max(versions):
            options["seed"] = seed

        @service.projection(rows, **options)
        async def view(rung: Rung, tx: Tx) -> None:
            if version == max(versions):
                await before(rung, tx)
            await count(tx, rung.name, version)

    for version in versions:
        declare(version)
    return service


async def count(tx: Tx, name: str, by: int) -> None:
    """Add to the row of a name."""
    db = await tx.db()
    made = (postgresql if db.dialect.name == "postgresql" else sqlite).insert(tx.table(rows))
    added = {"many": tx.table(rows).c.many + by}
    await db.execute(made.values(name=name, many=by).on_conflict_do_update(index_elements=["name"], set_=added))


def reading(worker: Worker, version: int, after: str | None = None, **words: Any) -> AbstractAsyncContextManager[View]:
    """What `service.reading` gives for this version of the projection."""
    service = worker.service
    with here({"shop": worker}):
        return service.reading(service.declarations.projections["view", version].call, after=after, **words)


async def counts(worker: Worker, version: int) -> dict[str, int]:
    """The rows that a reader with this version's code sees."""
    async with reading(worker, version) as view:
        found = await view.db.execute(select(view.table(rows)))
        return {row.name: row.many for row in found}
