"""What drifts: each path and kind with its sender, since when, how often, and who reads it (RULES 16.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.drift import (
    BASELINE_EVENTS,
    BASELINE_TIME,
    Boot,
    Sighted,
    baseline_end,
    is_new,
)
from services.tracer.keep.drift import StreamKey, boot_of, paths_of
from services.tracer.keep.tables import drift_alarms, drift_boots, events
from services.tracer.read.facts import utc

#: Streams and boots that are read, those that told last; paths that are given.
MAX_BOOTS, MAX_PATHS = 5_000, 1_000
#: Streams of which one statement reads the paths.
CHUNK = 100


class Reader(NamedTuple):
    """A subscription, or a webhook, at which it was seen."""

    subscription: str
    owner: str
    mode: str
    sighted: Sighted
    events: int  # that it has heard of this type, and how many of them had a deep look
    looked: int
    new: bool  # it first saw it after its baseline


@dataclass(frozen=True)
class DriftSeen:
    """One path and kind of one source, type and version."""

    source: str
    type: str
    version: int
    path: str
    kind: str
    readers: tuple[Reader, ...]
    flow: str = ""  # of the first event, where the tracer knows it

    @property
    def new(self) -> bool:
        """Whether it came after the baseline of a reader that does not accept it: it is warned of."""
        return any(each.new and each.mode != "accept" for each in self.readers)

    @property
    def accepted(self) -> bool:
        """Whether every reader accepts what drifts."""
        return all(each.mode == "accept" for each in self.readers)

    @property
    def held(self) -> bool:
        """Whether a reader keeps such events out."""
        return any(each.mode == "quarantine" and each.sighted.holds for each in self.readers)

    @property
    def first(self) -> Sighted:
        """The first sighting that counts: where it is new the first after a baseline."""
        some = [each for each in self.readers if each.new and each.mode != "accept"] or list(self.readers)
        return min((each.sighted for each in some), key=lambda each: (each.first, each.first_event))

    @property
    def most(self) -> Reader:
        """The reader that has seen it most often: each event counts once, however many read it."""
        return max(self.readers, key=lambda each: (each.sighted.many, each.subscription))

    @property
    def last(self) -> datetime:
        """When it was last seen."""
        return max(each.sighted.last for each in self.readers)


class Compared(NamedTuple):
    """One source, type and version at one subscription: what its baseline is."""

    source: str
    type: str
    version: int
    subscription: str
    owner: str
    mode: str
    events: int
    looked: int
    more: int
    first: datetime
    end: datetime | None  # of the baseline; None: it is not over

    def baseline(self, now: datetime) -> str:
        """How far its baseline is."""
        if self.end is not None and self.end <= now:
            return "over"
        if self.end is None:
            return f"{self.events:,} of {BASELINE_EVENTS:,} events"
        return f"{BASELINE_TIME.total_seconds() / 3600:.0f} h are not over"


class Drift(NamedTuple):
    """All that drifts, what is new first and the newest of it, and what is compared."""

    paths: list[DriftSeen]
    compared: list[Compared]


async def drift_of(db: AsyncConnection, known: Knowledge, now: datetime) -> Drift:
    """What drifts by the newest model of each subscription; at most `MAX_PATHS` paths."""
    streams = await _streams(db)
    compared: list[Compared] = []
    groups: dict[tuple[str, str, int, str, str], list[Reader]] = {}
    paths: dict[str, dict[tuple[str, str], Sighted]] = {}
    digests = [key.digest for key in streams]
    for at in range(0, len(digests), CHUNK):
        paths |= await paths_of(db, digests[at : at + CHUNK])
    for key, boots in streams.items():
        end, owner = baseline_end(boots), known.owner(key.subscription.partition(".")[0])
        mode = max(boots, key=lambda each: each.told).mode
        many, looked = sum(each.events for each in boots), sum(each.looked for each in boots)
        compared.append(
            Compared(
                key.source, key.type, key.version, key.subscription, owner, mode, many, looked,
                sum(each.more for each in boots), min(each.first for each in boots), end,
            )
        )  # fmt: skip
        for (path, kind), each in paths.get(key.digest, {}).items():
            group = groups.setdefault((key.source, key.type, key.version, path, kind), [])
            group.append(Reader(key.subscription, owner, mode, each, many, looked, is_new(each, end)))
    found = [
        DriftSeen(*about, tuple(sorted(readers, key=lambda each: each.subscription)))
        for about, readers in groups.items()
    ]
    found.sort(
        key=lambda each: (not each.new, -each.first.first.timestamp(), each.source, each.type, each.path, each.kind)
    )
    compared.sort(key=lambda each: (each.source, each.type, each.version, each.subscription))
    return Drift(await _with_flows(db, found[:MAX_PATHS]), compared)


class News(NamedTuple):
    """The newest of what was warned of, and how many more there are."""

    source: str
    path: str
    kind: str
    began: datetime
    more: int


async def news_of(db: AsyncConnection, since: datetime) -> News | None:
    """What was warned of since this moment; None: nothing."""
    fresh = drift_alarms.c.told >= since.timestamp()
    row = (await db.execute(select(drift_alarms).where(fresh).order_by(drift_alarms.c.began.desc()).limit(1))).first()
    if row is None:
        return None
    many = await db.scalar(select(func.count()).select_from(drift_alarms).where(fresh))
    return News(row.source, row.path, row.kind, utc(row.began), int(many or 1) - 1)


async def _streams(db: AsyncConnection) -> Mapping[StreamKey, Sequence[Boot]]:
    """Every stream with its boots; of a subscription whose model changed only what the newest one reads."""
    found: dict[StreamKey, list[Boot]] = {}
    for row in await db.execute(select(drift_boots).order_by(drift_boots.c.told.desc()).limit(MAX_BOOTS)):
        key = StreamKey(row.subscription, row.source, row.type, row.version, row.model)
        found.setdefault(key, []).append(boot_of(row))
    newest: dict[tuple[object, ...], StreamKey] = {}
    for key, boots in found.items():
        place = max((each.last, each.told) for each in boots)
        other = newest.get(key[:-1])
        if other is None or place > max((each.last, each.told) for each in found[other]):
            newest[key[:-1]] = key
    return {key: found[key] for key in newest.values()}


async def _with_flows(db: AsyncConnection, found: list[DriftSeen]) -> list[DriftSeen]:
    """The same, each with the flow of its first event where the log had it."""
    flows: dict[tuple[str, str], str] = {}
    wanted = sorted({(each.source, each.first.first_event) for each in found})
    for at in range(0, len(wanted), CHUNK):
        some = wanted[at : at + CHUNK]
        which = or_(*(and_(events.c.source == source, events.c.id == id) for source, id in some))
        for row in await db.execute(select(events.c.source, events.c.id, events.c.flow).where(which)):
            flows[row.source, row.id] = row.flow
    return [
        DriftSeen(
            each.source, each.type, each.version, each.path, each.kind, each.readers,
            flows.get((each.source, each.first.first_event), ""),
        )
        for each in found
    ]  # fmt: skip
