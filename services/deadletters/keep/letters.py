"""Stores arrivals, receipts and acts, and restates letters from their facts; in batches."""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.fold.cause import frame_of, normalised
from services.deadletters.fold.state import Act, Death, Receipt, standing
from services.deadletters.keep.counting import count
from services.deadletters.keep.tables import acts, arrivals, letters, receipts
from services.deadletters.read.letter import Arrival

#: Values in one `IN (…)`: SQLite and PostgreSQL both bound the parameters of a statement.
IN_BATCH = 500

T = TypeVar("T")
Facts = tuple[list[Death], list[Receipt], list[Act]]


async def resolve(db: AsyncConnection, id: str) -> str | None:
    """The letter that bears this id, or whose arrival came under it; None: there is none."""
    return (await _homes(db, [id], [])).get(id)


async def _homes(db: AsyncConnection, deaths: Collection[str], replays: Collection[str]) -> dict[str, str]:
    """Which letter each death id and each replay id leads to, where one does."""
    found: dict[str, str] = {}
    for part in batches(deaths):
        came = sa.select(arrivals.c.death_id, arrivals.c.letter).where(arrivals.c.death_id.in_(part))
        found |= {row.death_id: row.letter for row in await db.execute(came)}
        found |= {id: id for id in await db.scalars(sa.select(letters.c.id).where(letters.c.id.in_(part)))}
    for part in batches(replays):
        asked = sa.select(acts.c.replay, acts.c.letter).where(acts.c.replay.in_(part))
        found |= {row.replay: row.letter for row in await db.execute(asked)}
    return found


async def store(db: AsyncConnection, came: Sequence[Arrival], now: str) -> set[str]:
    """Keep arrivals, each once; returns the letters they belong to; their state must be computed again.

    A replay that died under a new identity belongs to the letter that was replayed (RULES 8.4).
    """
    homes = await _homes(db, {each.death_id for each in came}, {each.replay for each in came if each.replay})
    placed = [(homes.get(each.replay) or homes.get(each.death_id) or each.death_id, each) for each in came]
    known: set[tuple[str, int, str]] = set()
    last: dict[str, tuple[int, str, str]] = {}
    for part in batches({id for id, _ in placed}):
        columns = (arrivals.c.letter, arrivals.c.attempt, arrivals.c.time)
        known.update(tuple(row) for row in await db.execute(sa.select(*columns).where(arrivals.c.letter.in_(part))))
        heads = sa.select(letters.c.id, letters.c.attempt, letters.c.last_at, letters.c.first_at)
        for id, *head in await db.execute(heads.where(letters.c.id.in_(part))):
            last[id] = (head[0], head[1], head[2])
    fresh: dict[tuple[str, int, str], Arrival] = {}
    for id, each in placed:
        if (id, each.attempt, each.time) not in known:
            fresh.setdefault((id, each.attempt, each.time), each)
    if fresh:
        await db.execute(arrivals.insert(), [_arrival(id, each, now) for (id, _, _), each in fresh.items()])
        await _keep_letters(db, fresh, last, now)
    return {id for id, _ in placed}


async def _keep_letters(
    db: AsyncConnection,
    fresh: Mapping[tuple[str, int, str], Arrival],
    last: Mapping[str, tuple[int, str, str]],
    now: str,
) -> None:
    """Insert a letter for what never died before; update the newest death of what did."""
    by_letter: dict[str, list[Arrival]] = defaultdict(list)
    for (id, _, _), each in fresh.items():
        by_letter[id].append(each)
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for id, found in by_letter.items():
        newest = max(found, key=lambda each: (each.attempt, each.time or now))
        first, died = min(each.time or now for each in found), newest.time or now
        if id not in last:
            about = dataclasses.asdict(newest.about)
            whole = {"body": newest.body, "content_type": newest.content_type, **about, **_death(newest)}
            state = {"state": "pending", "again": 0, "replays": 0, "first_at": first, "last_at": died}
            new.append({"id": id, **state, **whole})
        elif (newest.attempt, died) > last[id][:2]:
            changed.append({"letter": id, "first_at": min(first, last[id][2]), "last_at": died, **_death(newest)})
    if new:
        await db.execute(letters.insert(), new)
        await count(db, Counter({"pending": len(new)}))
    if changed:
        await db.execute(letters.update().where(letters.c.id == sa.bindparam("letter")), changed)


def _arrival(id: str, arrival: Arrival, now: str) -> dict[str, Any]:
    return {
        "letter": id,
        "attempt": arrival.attempt,
        "time": arrival.time,
        "death_id": arrival.death_id,
        "stored_at": now,
        "cause": arrival.cause,
        "error": arrival.error,
        "replay": arrival.replay,
        "spoke": arrival.spoke,
        "by_broker": arrival.by_broker,
        "headers": dict(arrival.headers),
        "history": [dataclasses.asdict(run) for run in arrival.history],
    }


def _death(arrival: Arrival) -> dict[str, Any]:
    """What the newest death says of a letter."""
    trace = next((run.trace for run in reversed(arrival.history) if run.trace), "")
    normal, frame = normalised(arrival.error), frame_of(trace)
    group = f"{arrival.subscription}\n{arrival.cause}\n{normal}\n{frame}"
    return {
        "subscription": arrival.subscription,
        "service": arrival.subscription.partition(".")[0],
        "cause": arrival.cause,
        "error": arrival.error,
        "normal": normal,
        "frame": frame,
        "group_id": hashlib.blake2b(group.encode("utf-8", "replace"), digest_size=6).hexdigest(),
        "attempt": arrival.attempt,
        "spoke": arrival.spoke,
        "by_broker": arrival.by_broker,
    }


async def keep_receipts(db: AsyncConnection, facts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Store what may settle a letter, known or yet to come; returns the letters it concerns.

    A first attempt that was handled can only concern a letter that is known already. It is stored only then:
    otherwise the desk would store a row for every delivery.
    """
    touched = await _letters_of(db, facts)
    early = [fact for fact in facts if fact["attempt"] > 1 or fact["replay"]]
    rows = {_key(fact): fact for fact in [*early, *(fact for fact in facts if _event(fact) in touched)]}
    for part in batches(list(rows)):
        same = sa.tuple_(*receipts.primary_key.columns).in_(part)
        found = await db.execute(sa.select(*receipts.primary_key.columns).where(same))
        for key in found:
            rows.pop(tuple(key), None)
    if rows:
        await db.execute(receipts.insert(), list(rows.values()))
    ids = {id for found in touched.values() for id in found}
    asked = {fact["replay"] for fact in facts if fact["replay"]}
    for part in batches(asked):
        ids.update(await db.scalars(sa.select(acts.c.letter).where(acts.c.replay.in_(part))))
    return ids


def _event(fact: Mapping[str, Any]) -> tuple[str, str, str]:
    return fact["subscription"], fact["source"], fact["event_id"]


def _key(fact: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(fact[column.name] for column in receipts.primary_key.columns)


async def _letters_of(db: AsyncConnection, facts: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[str]]:
    """The letters of these receipts' events, by (subscription, source, event id)."""
    wanted = {_event(fact) for fact in facts}
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    columns = (letters.c.subscription, letters.c.source, letters.c.event_id, letters.c.id)
    for part in batches({event_id for _, _, event_id in wanted}):
        for *event, id in await db.execute(sa.select(*columns).where(letters.c.event_id.in_(part))):
            if tuple(event) in wanted:
                found[event[0], event[1], event[2]].append(id)
    return found


async def restate(db: AsyncConnection, ids: Iterable[str]) -> None:
    """Compute and store the state of these letters from all their facts."""
    changed: list[dict[str, Any]] = []
    facts = await facts_of(db, set(ids))
    moved: Counter[str] = Counter()
    for part in batches(facts):
        moved.subtract(list(await db.scalars(sa.select(letters.c.state).where(letters.c.id.in_(part)))))
    for id, (deaths, told, done) in facts.items():
        now = standing(deaths, told, done)
        settled = dataclasses.asdict(now.settled) if now.settled else None
        replays = sum(1 for act in done if act.kind == "replay")
        state = {"state": now.state.value, "again": now.again, "settled": settled, "replays": replays}
        changed.append({"letter": id, **state})
        moved[now.state.value] += 1
    if changed:
        await count(db, moved)
        await db.execute(letters.update().where(letters.c.id == sa.bindparam("letter")), changed)


async def facts_of(db: AsyncConnection, ids: Collection[str]) -> dict[str, Facts]:
    """Everything that decides the state of these letters; unknown letters are left out."""
    found: dict[str, Facts] = {}
    for part in batches(ids):
        events: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        columns = (letters.c.id, letters.c.subscription, letters.c.source, letters.c.event_id)
        for id, *event in await db.execute(sa.select(*columns).where(letters.c.id.in_(part))):
            found[id] = ([], [], [])
            if event[2]:
                events[event[0], event[1], event[2]].append(id)
        deaths = (arrivals.c.letter, arrivals.c.attempt, arrivals.c.time)
        why = (arrivals.c.cause, arrivals.c.spoke, arrivals.c.by_broker)
        for id, *death in await db.execute(sa.select(*deaths, *why).where(arrivals.c.letter.in_(part))):
            found[id][0].append(Death(*death))
        replays: dict[str, str] = {}
        for row in await db.execute(sa.select(acts).where(acts.c.letter.in_(part)).order_by(acts.c.no)):
            found[row.letter][2].append(_act(row))
            if row.replay:
                replays[row.replay] = row.letter
        await _add_receipts(db, found, events, replays)
    return found


async def _add_receipts(
    db: AsyncConnection,
    found: Mapping[str, Facts],
    events: Mapping[tuple[str, str, str], list[str]],
    replays: Mapping[str, str],
) -> None:
    """Receipts about the letters' events or replays, each once a letter."""
    wanted = sa.or_(
        receipts.c.event_id.in_([event_id for _, _, event_id in events]), receipts.c.replay.in_(list(replays))
    )
    for row in await db.execute(sa.select(receipts).where(wanted)):
        receipt = Receipt(row.outcome, row.attempt, row.time, row.replay, row.next_at, row.error)
        about = set(events.get((row.subscription, row.source, row.event_id), ()))
        if row.replay in replays:
            about.add(replays[row.replay])
        for id in about:
            found[id][1].append(receipt)


def _act(row: Any) -> Act:
    return Act(
        row.kind,
        row.time,
        (row.base_attempt, row.base_time),
        row.attempt,
        row.replay,
        row.who,
        row.reason,
        row.tried,
        row.sent_at,
        row.failure,
    )


async def keep_act(db: AsyncConnection, id: str, act: Act) -> None:
    """Keep an act; a replay that is tried again keeps its row."""
    values = dataclasses.asdict(act)
    values["base_attempt"], values["base_time"] = values.pop("base")
    if act.replay:
        changed = await db.execute(acts.update().where(acts.c.replay == act.replay).values(**values))
        if changed.rowcount:
            return
    await db.execute(acts.insert().values(letter=id, **values))


def batches(values: Collection[T]) -> Iterable[list[T]]:
    """The values in parts that fit into one statement."""
    whole = list(values)
    for start in range(0, len(whole), IN_BATCH):
        yield whole[start : start + IN_BATCH]
