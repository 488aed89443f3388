"""Keeps what services report of themselves, what was invalid, and which other desks were heard."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import Aside, Heartbeat
from services.deadletters.keep.tables import aside, desks, services

#: Most invalid facts that are kept, and bytes of each.
MAX_ASIDE, ASIDE_BYTES = 1_000, 2_000
#: Sensitive fields of one service that are remembered; its further ones are those of its last manifest.
MAX_SENSITIVE = 10_000


async def keep_service(db: AsyncConnection, service: str, values: Mapping[str, Any], at: str) -> None:
    """Keep the newest manifest or heartbeat of a service; `at` names its time column, an older one changes nothing.

    A field that a service has once declared sensitive stays so, whatever is said in its name later.
    """
    known = (await db.execute(sa.select(services).where(services.c.service == service))).first()
    if known is None:
        empty: dict[str, Any] = {"owner": "", "manifest_at": "", "heartbeat_at": "", "subscriptions": [], "says": []}
        await db.execute(
            services.insert().values({**empty, "sensitive": {}, "breakers": {}, "service": service, **values})
        )
        return
    if "sensitive" in values:
        values = {**values, "sensitive": _both(known.sensitive, values["sensitive"])}
    if known._mapping[at] <= values[at]:
        await db.execute(services.update().where(services.c.service == service).values(**values))
    elif "sensitive" in values:
        one = services.update().where(services.c.service == service)
        await db.execute(one.values(sensitive=values["sensitive"]))


def _both(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The fields of both by event."""
    found = {event: list(fields) for event, fields in new.items()}
    left = MAX_SENSITIVE
    for event, fields in old.items():
        kept = list(fields)[: max(left, 0)]
        left -= len(kept)
        found[event] = list(dict.fromkeys([*kept, *found.get(event, ())]))
    return found


async def keep_aside(db: AsyncConnection, found: Sequence[Aside]) -> None:
    """Keep what could not be read, its first bytes and the reason; the newest `MAX_ASIDE`."""
    if not found:
        return
    rows = {each.place: each for each in found}
    await db.execute(aside.delete().where(aside.c.place.in_(list(rows))))
    await db.execute(
        aside.insert(),
        [{"place": place, "why": each.why[:1000].encode(errors="replace").decode().replace("\x00", "\ufffd"),
          "body": each.body[:ASIDE_BYTES]} for place, each in rows.items()],
    )  # fmt: skip
    oldest = sa.select(aside.c.place).order_by(aside.c.place.desc()).offset(MAX_ASIDE).limit(1)
    bound = await db.scalar(oldest)
    if bound is not None:
        await db.execute(aside.delete().where(aside.c.place <= bound))


async def keep_desk(db: AsyncConnection, boot: str, instance: str, now: float, *, mine: bool) -> None:
    """Note that a process of a desk is there; `mine`: it keeps its letters in this database."""
    seen: dict[str, Any] = {"last_at": now, **({"mine": True} if mine else {})}
    if not (await db.execute(desks.update().where(desks.c.boot == boot).values(**seen))).rowcount:
        row = {"boot": boot, "instance": instance, "mine": mine, "first_at": now, "last_at": now}
        await db.execute(desks.insert().values(row))


async def keep_desks(db: AsyncConnection, own: str, beats: Sequence[Heartbeat], now: float) -> None:
    """Note this process, which is `own` boot, and each desk that sent a heartbeat."""
    mine = await db.scalar(sa.select(desks.c.last_at).where(desks.c.boot == own, desks.c.mine))
    if mine is None or now - mine >= 1.0:
        await keep_desk(db, own, "", now, mine=True)
    for each in beats:
        if each.boot and each.boot != own:
            await keep_desk(db, each.boot, each.instance, now, mine=False)
