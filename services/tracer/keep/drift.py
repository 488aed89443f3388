"""Keeps what services tell of drift, by stream and boot, and warns once of each path that is new (RULES 16.3)."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.console import weekday_and_clock
from hocket.console.drift_facts import Drifted, began
from hocket.console.named_values import insert_into
from services.tracer.fold.drift import (
    Boot,
    Sighted,
    baseline_end,
    both_sightings,
    is_new,
    later_of,
    later_sighting,
    together,
    without_data,
)
from services.tracer.keep.tables import drift_alarms, drift_boots, drift_paths
from services.tracer.read.facts import utc

#: Boots that one step of forgetting puts together.
STEP = 200
#: The boot under which those that are over are kept together.
OVER = ""

_log = logging.getLogger("tracer")


class StreamKey(NamedTuple):
    """One source, type and version at one subscription, read by one model."""

    subscription: str
    source: str
    type: str
    version: int
    model: str

    @property
    def digest(self) -> str:
        """By which its rows are found; the names are longer than an index of PostgreSQL takes."""
        return hashlib.blake2b(json.dumps(self).encode(), digest_size=16).hexdigest()


async def keep_drift(db: AsyncConnection, seen: Sequence[Drifted], at: datetime) -> None:
    """Store what was counted; a time that is ahead of ours counts as ours. What is new is warned of, once."""
    touched: dict[str, StreamKey] = {}
    for each in seen:
        key = StreamKey(each.subscription, each.source, each.type, each.version, each.model)
        touched[key.digest] = key
        await _keep_boot(db, key, each, at)
        await _keep_paths(db, key, each, at)
    for digest, key in touched.items():
        await _warn(db, digest, key, at)


async def _keep_boot(db: AsyncConnection, key: StreamKey, fact: Drifted, at: datetime) -> None:
    boot = Boot(
        fact.events, fact.looked, fact.more, min(fact.first, at), min(fact.last, at), min(fact.time, at), fact.mode,
        tuple((many, min(when, at)) for many, when in fact.marks),
    )  # fmt: skip
    known = (await boots_of(db, [key.digest])).get(key.digest, {}).get(fact.boot)
    row = {**key._asdict(), "stream": key.digest, "boot": fact.boot, **_row(later_of(known, boot) if known else boot)}
    await _put(db, drift_boots, row, ["stream", "boot"])


async def _keep_paths(db: AsyncConnection, key: StreamKey, fact: Drifted, at: datetime) -> None:
    mine = (drift_paths.c.stream == key.digest, drift_paths.c.boot == fact.boot)
    known = {
        (row.path, row.kind): _sighted(row) for row in await db.execute(select(drift_paths).where(*mine))
    }  # fmt: skip
    for each in fact.paths:
        first, last = each.first, each.last
        sighted = Sighted(each.many, min(first.time, at), first.id, min(last.time, at), last.id, each.deep, each.holds)
        before = known.get((each.path, each.kind))
        now = later_sighting(before, sighted) if before is not None else sighted
        if now != before:
            row = {"stream": key.digest, "boot": fact.boot, "path": each.path, "kind": each.kind, **_sighted_row(now)}
            await _put(db, drift_paths, row, ["stream", "boot", "path", "kind"])


async def _warn(db: AsyncConnection, stream: str, key: StreamKey, at: datetime) -> None:
    """Warn of each path and kind that this stream has first seen after its baseline, where nobody was warned of it."""
    boots = list((await boots_of(db, [stream])).get(stream, {}).values())
    end = baseline_end(boots)
    if end is None or max(boots, key=lambda each: each.told).mode == "accept":
        return
    for (path, kind), each in (await paths_of(db, [stream])).get(stream, {}).items():
        if not is_new(each, end):
            continue
        digest = hashlib.blake2b(json.dumps([*key[1:4], path, kind]).encode(), digest_size=16).hexdigest()
        row = {
            "digest": digest, "source": key.source, "type": key.type, "version": key.version, "path": path,
            "kind": kind, "began": each.first.timestamp(), "told": at.timestamp(),
        }  # fmt: skip
        made = await db.execute(insert_into(db, drift_alarms).values(row).on_conflict_do_nothing())
        if made.rowcount:
            _log.warning(
                "%s at %s", began(key.source, path, kind), weekday_and_clock(each.first, at),
                extra={"type": key.type, "version": key.version, "subscription": key.subscription,
                       "event_id": each.first_event},
            )  # fmt: skip


async def boots_of(db: AsyncConnection, streams: Iterable[str]) -> dict[str, dict[str, Boot]]:
    """What each boot has counted, by stream."""
    found: dict[str, dict[str, Boot]] = {}
    for row in await db.execute(select(drift_boots).where(drift_boots.c.stream.in_(list(streams)))):
        found.setdefault(row.stream, {})[row.boot] = boot_of(row)
    return found


async def paths_of(db: AsyncConnection, streams: Iterable[str]) -> dict[str, dict[tuple[str, str], Sighted]]:
    """The paths of each stream, over all boots, without names that are data."""
    found: dict[str, dict[tuple[str, str], Sighted]] = {}
    for row in await db.execute(select(drift_paths).where(drift_paths.c.stream.in_(list(streams)))):
        mine, key = found.setdefault(row.stream, {}), (row.path, row.kind)
        mine[key] = both_sightings(mine[key], _sighted(row)) if key in mine else _sighted(row)
    return {stream: without_data(each) for stream, each in found.items()}


async def forget_drift(db: AsyncConnection, before: float, gone: float) -> None:
    """Put together what boots have counted that told nothing since `before`: they are over.

    A stream of which nothing was told since `gone` is forgotten, with its warnings.
    """
    await _forget_streams(db, gone)
    over = select(drift_boots.c.stream).where(drift_boots.c.told < before, drift_boots.c.boot != OVER)
    streams = list((await db.execute(over.distinct().limit(STEP))).scalars())
    for stream, boots in (await boots_of(db, streams)).items():
        old = [name for name, each in boots.items() if each.told.timestamp() < before][:STEP]
        mine = (drift_paths.c.stream == stream, drift_paths.c.boot.in_([*old, OVER]))
        paths: dict[tuple[str, str], Sighted] = {}
        for row in await db.execute(select(drift_paths).where(*mine)):
            key = (row.path, row.kind)
            paths[key] = both_sightings(paths[key], _sighted(row)) if key in paths else _sighted(row)
        one = together([boots[name] for name in dict.fromkeys((*old, *([OVER] if OVER in boots else [])))])
        about = (await db.execute(select(drift_boots).where(drift_boots.c.stream == stream).limit(1))).mappings().one()
        for table in (drift_boots, drift_paths):
            await db.execute(delete(table).where(table.c.stream == stream, table.c.boot.in_([*old, OVER])))
        await _put(db, drift_boots, {**about, "boot": OVER, **_row(one)}, ["stream", "boot"])
        for (path, kind), each in paths.items():
            kept = {"stream": stream, "boot": OVER, "path": path, "kind": kind, **_sighted_row(each)}
            await _put(db, drift_paths, kept, ["stream", "boot", "path", "kind"])


async def _forget_streams(db: AsyncConnection, gone: float) -> None:
    streams = select(drift_boots.c.stream).group_by(drift_boots.c.stream).having(func.max(drift_boots.c.told) < gone)
    old = list((await db.execute(streams.limit(STEP))).scalars())
    if not old:
        return
    for table in (drift_boots, drift_paths):
        await db.execute(delete(table).where(table.c.stream.in_(old)))
    about = ("source", "type", "version")
    heard = select(drift_boots.c.stream).where(*(drift_boots.c[name] == drift_alarms.c[name] for name in about))
    await db.execute(delete(drift_alarms).where(~heard.exists()))


async def _put(db: AsyncConnection, table: Any, row: Mapping[str, Any], key: list[str]) -> None:
    fresh = {name: value for name, value in row.items() if name not in key}
    await db.execute(insert_into(db, table).values(dict(row)).on_conflict_do_update(index_elements=key, set_=fresh))


def _row(boot: Boot) -> dict[str, Any]:
    return {
        "events": boot.events, "looked": boot.looked, "more": boot.more, "first": boot.first.timestamp(),
        "last": boot.last.timestamp(), "told": boot.told.timestamp(), "mode": boot.mode,
        "marks": json.dumps([[many, rfc3339(when)] for many, when in boot.marks]),
    }  # fmt: skip


def boot_of(row: Any) -> Boot:
    """A row of `drift_boots`."""
    marks = tuple((int(many), datetime.fromisoformat(when)) for many, when in json.loads(row.marks))
    return Boot(
        row.events, row.looked, row.more, utc(row.first), utc(row.last), utc(row.told), row.mode, marks
    )  # fmt: skip


def _sighted_row(each: Sighted) -> dict[str, Any]:
    return {
        "many": each.many, "deep": int(each.deep), "holds": int(each.holds), "first": each.first.timestamp(),
        "first_event": each.first_event, "last": each.last.timestamp(), "last_event": each.last_event,
    }  # fmt: skip


def _sighted(row: Any) -> Sighted:
    deep, holds = bool(row.deep), bool(row.holds)
    return Sighted(row.many, utc(row.first), row.first_event, utc(row.last), row.last_event, deep, holds)
