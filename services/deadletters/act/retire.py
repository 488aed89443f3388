"""Retires a service that is gone: nothing is deleted, and a fact says who did it (docs/wire.md#receipts)."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.keep.tables import services
from services.deadletters.read.letter import text
from services.deadletters.service import deadletters

#: Three missed heartbeats: a service that was heard later than that is running.
GONE = timedelta(seconds=30)


class NoService(Exception):
    """No service of this name has ever sent a heartbeat."""


class Going(NamedTuple):
    """A service that somebody wants to retire: when it was last heard, and why that is refused ("": it is not)."""

    name: str
    owner: str
    last: datetime
    refusal: str


async def going(db: AsyncConnection, name: str, now: datetime) -> Going:
    """What the desk knows of the service; `NoService` where it was never heard."""
    if text(name) != name:
        raise NoService(name)  # no database stores such a name
    row = (await db.execute(select(services).where(services.c.service == name))).first()
    if row is None or not row.heartbeat_at:
        raise NoService(name)
    last = datetime.fromisoformat(row.heartbeat_at)
    ago = (now - last).total_seconds()
    refusal = ""
    if now - last <= GONE:
        refusal = f"{name} runs: it was heard {ago:.0f} s ago. Stop all its processes first, then retire it."
    return Going(name, row.owner, last, refusal)


async def retire(name: str, *, who: str, reason: str) -> None:
    """Tell everybody who reads the receipts that a service is gone.

    `NoService` where it is not known; `Refused` without a reason, or while it is heard.
    """
    if not reason.strip():
        raise Refused("To retire a service needs a reason: say what became of it.")
    async with deadletters.tx() as tx:
        found = await going(await tx.db(), name, tx.time)
        if found.refusal:
            raise Refused(found.refusal)
        fact = {
            "kind": "retired",
            "retires": name,
            "last": rfc3339(found.last),
            "by": who,
            "reason": reason[:MAX_REASON],
        }
        tx.report(fact)
