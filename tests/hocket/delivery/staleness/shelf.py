"""Services whose events can be older than what was handled, or too early for their predecessor."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from hocket import Event, Heard, Service, Tx
from hocket.worker import Worker
from tests.hocket.sample_services import BRIEF

WITHIN = timedelta(minutes=1)
tables = MetaData()
noted = Table("noted", tables, Column("id", Integer, primary_key=True), Column("what", String, nullable=False))

#: The price of each item as it was written last, whatever was there before.
prices = Table(
    "prices", tables, Column("item", String, primary_key=True), Column("version", Integer, nullable=False)
)  # fmt: skip


class Priced(Heard, type="shop.priced"):
    """A price, with the version of the item that has it."""

    version: int
    own: bool = False  # its handler opens a transaction of its own


class Moved(Heard, type="shop.moved"):
    """A place, with the moment at which it was so."""

    name: str
    at: AwareDatetime


class Bought(Heard, type="shop.bought"):
    """Somebody wants it: the predecessor hears this."""

    name: str = "x"


class Packed(Heard, type="shop.packed"):
    """It may be sent: what comes after the predecessor hears this."""

    name: str = "x"


class Told(Event, type="shelf.told", subject="told/{what}"):
    """What a handler says."""

    what: str


async def nothing(heard: Any, tx: Any) -> None:
    """Do nothing."""


@dataclass
class Keeper:
    """What the handlers do, and what they did, in order."""

    behave: Callable[[Any, Any], Awaitable[Any]] = nothing
    ran: list[str] = field(default_factory=list)


def keeper() -> AbstractAsyncContextManager[Keeper]:
    """Never called: tests give the service a `Keeper` by `using`."""
    raise AssertionError("give the service a keeper by using()")


shelf = Service("shelf", owner="team-shelf", uses=keeper, tables=tables)


@shelf.handler(latest_by="version", retry=BRIEF)
async def price(event: Priced, tx: Tx[Keeper]) -> Told | None:
    """Keep the price, in the shared commit or in a transaction of its own."""
    tx.use.ran.append(f"price {event.version}")
    await tx.use.behave(event, tx)
    if event.own:
        db = await tx.db()
        await db.execute(insert(noted).values(what=f"price {event.version}"))
        written = await db.execute(update(prices).where(prices.c.item == tx.subject).values(version=event.version))
        if not written.rowcount:
            await db.execute(insert(prices).values(item=tx.subject, version=event.version))
    return Told(what=f"price {event.version}")


@shelf.handler(latest_by="at", retry=BRIEF)
async def place(event: Moved, tx: Tx[Keeper]) -> None:
    """Keep the place."""
    tx.use.ran.append(f"place {event.name}")


@shelf.handler(retry=BRIEF)
async def reserve(event: Bought, tx: Tx[Keeper]) -> None:
    """Goes first."""
    tx.use.ran.append("reserve")
    await tx.use.behave(event, tx)


@shelf.handler(after=reserve, within=WITHIN, retry=BRIEF)
async def send(event: Packed, tx: Tx[Keeper]) -> None:
    """Goes after `reserve`."""
    tx.use.ran.append("send")
    await tx.use.behave(event, tx)


async def notes(worker: Worker) -> list[str]:
    """What handlers wrote to the service's own table."""
    async with worker.runtime.store.read() as db:
        return list(await db.scalars(select(noted.c.what).order_by(noted.c.id)))


async def priced(worker: Worker) -> dict[str, int]:
    """The price of each item."""
    async with worker.runtime.store.read() as db:
        return {row.item: row.version for row in await db.execute(select(prices))}
