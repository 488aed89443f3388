"""Keeps manifests by their content, and who is expected to hear what, worked out once for each new manifest."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import Manifest
from hocket.console.named_values import insert_into, set_value, value_of
from services.tracer.fold.expectations import Expectation, Expected
from services.tracer.fold.expectations import expectations as expectations_of
from services.tracer.keep.facts import mark_unfolded
from services.tracer.keep.tables import events, expectations, manifests, marks, retired
from services.tracer.read.facts import utc

#: The row of `marks` whose value is another after each new manifest.
DECLARED = "declared"
#: Expectations of so many databases are remembered by this process: one, and a few in tests.
REMEMBERED = 4
#: Event names in one statement, and flows that one manifest marks to be folded again.
NAMES, MARKED = 200, 10_000

_remembered: "OrderedDict[str, Expected]" = OrderedDict()
_budgets: "OrderedDict[str, Mapping[str, float]]" = OrderedDict()


async def keep_manifests(db: AsyncConnection, seen: Sequence[Manifest], at: datetime) -> None:
    """Store manifests by their content with the first and last time it was seen; a new one changes expectations.

    A time that is ahead of ours counts as ours.
    """
    for each in seen:
        when = min(each.time, at).timestamp()
        content = each.model_dump_json(exclude={"time"})
        digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        mine = (manifests.c.digest, manifests.c.first)
        newest = select(*mine).where(manifests.c.service == each.service).order_by(manifests.c.last.desc())
        known = {row.digest: row.first for row in await db.execute(newest)}
        row = {"service": each.service, "digest": digest, "content": content, "first": when, "last": when}
        await db.execute(
            insert_into(db, manifests)
            .values(row)
            .on_conflict_do_update(
                index_elements=["service", "digest"],
                set_={
                    "first": case((manifests.c.first < when, manifests.c.first), else_=when),
                    "last": case((manifests.c.last > when, manifests.c.last), else_=when),
                },
            )
        )
        if digest not in known or when < known[digest]:
            await _expect(db, each, when, at)
        if next(iter(known), "") != digest or when < known[digest]:
            await set_value(db, marks, DECLARED, uuid4().hex)


async def _expect(db: AsyncConnection, manifest: Manifest, since: float, at: datetime) -> None:
    """Add what a new manifest expects, and mark the flows of that time with an event that it hears."""
    rows = [
        {"type": name[0], "version": name[1], "subscription": one.subscription, "undo_of": one.undo_of, "since": since}
        for name, found in expectations_of([(manifest, utc(since))]).items()
        for one in found
    ]
    adding = insert_into(db, expectations)
    earlier = case((expectations.c.since < adding.excluded.since, expectations.c.since), else_=adding.excluded.since)
    keys = ["type", "version", "subscription", "undo_of"]
    if rows:
        await db.execute(adding.on_conflict_do_update(index_elements=keys, set_={"since": earlier}), rows)
    await mark_concerned(
        db, {name for each in manifest.subscriptions for name, _ in (*each.hears, *each.why)}, since, at
    )


async def mark_concerned(db: AsyncConnection, names: Iterable[str], since: float, at: datetime) -> None:
    """Mark the flows with an event of these types said since then, the newest `MARKED`, to be folded again."""
    types = sorted(names)
    for start in range(0, len(types), NAMES):
        some = types[start : start + NAMES]
        concerned = select(events.c.flow).where(events.c.type.in_(some), events.c.time >= since)
        newest = concerned.order_by(events.c.time.desc()).limit(MARKED)
        await mark_unfolded(db, set((await db.execute(newest)).scalars()), at)


async def expected_of(db: AsyncConnection) -> Expected:
    """Who is expected to hear what; remembered until a manifest is new or a service is retired."""
    mark = await value_of(db, marks, DECLARED)
    if mark and mark not in _remembered:
        found: dict[tuple[str, int], list[Expectation]] = {}
        gone = {row.service: utc(row.last) for row in await db.execute(select(retired.c.service, retired.c.last))}
        for row in await db.execute(select(expectations).order_by(*expectations.primary_key.columns)):
            until = gone.get(row.subscription.partition(".")[0])
            expected = Expectation(row.subscription, utc(row.since), row.undo_of, until)
            found.setdefault((row.type, row.version), []).append(expected)
        _remembered[mark] = {name: tuple(each) for name, each in found.items()}
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[mark] if mark else {}


async def budgets_of(db: AsyncConnection) -> Mapping[str, float]:
    """The seconds that all attempts and waits of each subscription take, as last declared; kept until one is new."""
    mark = await value_of(db, marks, DECLARED)
    if mark and mark not in _budgets:
        manifests_seen = await all_manifests(db)
        _budgets[mark] = {one.name: one.budget for each, _ in manifests_seen for one in each.subscriptions}
        while len(_budgets) > REMEMBERED:
            _budgets.popitem(last=False)
    return _budgets[mark] if mark else {}


async def all_manifests(db: AsyncConnection) -> list[tuple[Manifest, datetime]]:
    """Every manifest ever seen, by content, as of its last time, and when it was first seen."""
    rows = await db.execute(select(manifests.c.content, manifests.c.first, manifests.c.last).order_by(manifests.c.last))
    return [
        (Manifest.model_validate({**json.loads(content), "time": utc(last)}), utc(first))
        for content, first, last in rows
    ]
