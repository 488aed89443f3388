"""The desk's own tables, and what is written to them: letters, arrivals, receipts, acts, and who reported what."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.causes import frame_of, normalised
from services.deadletters.domain import Act, Death, Receipt, standing
from services.deadletters.reading import Arrival

#: Values in one `IN (…)`: SQLite and PostgreSQL both bound the parameters of a statement.
IN_BATCH = 500

T = TypeVar("T")

tables = sa.MetaData()

letters = sa.Table(
    "letters",
    tables,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),  # order of arrival, for paging
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("again", sa.Integer, nullable=False),
    sa.Column("replays", sa.Integer, nullable=False),
    sa.Column("settled", sa.JSON),  # outcome, attempt, time, replay of the receipt that settled it
    sa.Column("subscription", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("normal", sa.Text, nullable=False),  # the error without its numbers and ids
    sa.Column("frame", sa.Text, nullable=False),  # innermost own frame
    sa.Column("group_id", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("spoke", sa.Boolean, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("first_at", sa.Text, nullable=False),  # RFC 3339; of the first and the last death
    sa.Column("last_at", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Text, nullable=False),
    sa.Column("causation_id", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("event_time", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # byte for byte
    sa.Index("letters_event", "event_id", "subscription"),
    sa.Index("letters_group", "group_id"),
    sa.Index("letters_flow", "correlation_id"),
    sa.Index("letters_state", "state", "no"),
)

arrivals = sa.Table(
    "arrivals",
    tables,
    sa.Column("letter", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("time", sa.Text, primary_key=True),
    sa.Column("death_id", sa.Text, nullable=False, index=True),  # as it came; a replay may die under another
    sa.Column("stored_at", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("replay", sa.Text, nullable=False),
    sa.Column("spoke", sa.Boolean, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("history", sa.JSON, nullable=False),
)

receipts = sa.Table(
    "receipts",
    tables,
    sa.Column("subscription", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("replay", sa.Text, primary_key=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("receipts_event", "event_id"),
    sa.Index("receipts_replay", "replay"),
)

acts = sa.Table(
    "acts",
    tables,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("letter", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("base_attempt", sa.Integer, nullable=False),
    sa.Column("base_time", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("replay", sa.Text, nullable=False, index=True),
    sa.Column("tried", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Text, nullable=False),
    sa.Column("failure", sa.Text, nullable=False),
)

services = sa.Table(
    "services",
    tables,
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("manifest_at", sa.Text, nullable=False),
    sa.Column("subscriptions", sa.JSON, nullable=False),
    sa.Column("says", sa.JSON, nullable=False),
    sa.Column("sensitive", sa.JSON, nullable=False),
    sa.Column("heartbeat_at", sa.Text, nullable=False),
    sa.Column("breakers", sa.JSON, nullable=False),
)


async def home_of(db: AsyncConnection, arrival: Arrival) -> str:
    """The id of the letter an arrival belongs to: also where a replay died under a new identity (RULES 8.4)."""
    if arrival.replay:
        found = await db.scalar(sa.select(acts.c.letter).where(acts.c.replay == arrival.replay).limit(1))
        if found is not None:
            return str(found)
    return await resolve(db, arrival.death_id) or arrival.death_id


async def resolve(db: AsyncConnection, id: str) -> str | None:
    """The letter that bears this id, or whose arrival came under it."""
    found = await db.scalar(sa.select(letters.c.id).where(letters.c.id == id))
    if found is None:
        found = await db.scalar(sa.select(arrivals.c.letter).where(arrivals.c.death_id == id).limit(1))
    return None if found is None else str(found)


async def store(db: AsyncConnection, arrival: Arrival, now: str) -> str:
    """Keep one arrival; the same one again changes nothing. Answers the letter's id; `restate` comes after."""
    id = await home_of(db, arrival)
    here = sa.and_(arrivals.c.letter == id, arrivals.c.attempt == arrival.attempt, arrivals.c.time == arrival.time)
    if await db.scalar(sa.select(sa.func.count()).select_from(arrivals).where(here)):
        return id
    await db.execute(
        arrivals.insert().values(
            letter=id,
            attempt=arrival.attempt,
            time=arrival.time,
            death_id=arrival.death_id,
            stored_at=now,
            cause=arrival.cause,
            error=arrival.error,
            replay=arrival.replay,
            spoke=arrival.spoke,
            by_broker=arrival.by_broker,
            headers=dict(arrival.headers),
            history=[dataclasses.asdict(run) for run in arrival.history],
        )
    )
    died = arrival.time or now
    known = (await db.execute(sa.select(letters.c.attempt, letters.c.last_at).where(letters.c.id == id))).first()
    if known is None:
        first = {"id": id, "state": "pending", "again": 0, "replays": 0, "first_at": died, "last_at": died}
        about = dataclasses.asdict(arrival.about)
        whole = {"body": arrival.body, "content_type": arrival.content_type}
        await db.execute(letters.insert().values(**first, **whole, **about, **_death(arrival)))
        return id
    await db.execute(
        letters.update()
        .where(letters.c.id == id)
        .values(first_at=sa.case((letters.c.first_at > died, died), else_=letters.c.first_at))
    )
    if (arrival.attempt, died) > (known.attempt, known.last_at):
        await db.execute(letters.update().where(letters.c.id == id).values(last_at=died, **_death(arrival)))
    return id


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
    """Keep what may settle a letter, known or yet to come; answers the letters it concerns.

    A first attempt that was handled can only concern a letter that is here already, so it is kept only then:
    otherwise the desk would keep a row for everything that ever went well.
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
    """Work out the state of these letters anew from all their facts."""
    for id in sorted(set(ids)):
        deaths, told, done = await facts_of(db, id)
        if not deaths:
            continue
        now = standing(deaths, told, done)
        settled = dataclasses.asdict(now.settled) if now.settled else None
        replays = sum(1 for act in done if act.kind == "replay")
        await db.execute(
            letters.update()
            .where(letters.c.id == id)
            .values(state=now.state.value, again=now.again, settled=settled, replays=replays)
        )


async def facts_of(db: AsyncConnection, id: str) -> tuple[list[Death], list[Receipt], list[Act]]:
    """Everything that decides a letter's state."""
    where = arrivals.c.letter == id
    columns = (arrivals.c.attempt, arrivals.c.time, arrivals.c.cause, arrivals.c.spoke, arrivals.c.by_broker)
    deaths = [Death(*row) for row in await db.execute(sa.select(*columns).where(where))]
    done = await acts_of(db, id)
    event = (await db.execute(sa.select(letters).where(letters.c.id == id))).first()
    if event is None:
        return deaths, [], done
    asked = [act.replay for act in done if act.replay]
    about = sa.and_(
        receipts.c.subscription == event.subscription,
        receipts.c.source == event.source,
        receipts.c.event_id == event.event_id,
        sa.literal(bool(event.event_id)),
    )
    mine = sa.and_(receipts.c.replay.in_(asked), receipts.c.replay != "")
    told_columns = (
        receipts.c.outcome,
        receipts.c.attempt,
        receipts.c.time,
        receipts.c.replay,
        receipts.c.next_at,
        receipts.c.error,
    )
    told = [Receipt(*row) for row in await db.execute(sa.select(*told_columns).where(sa.or_(about, mine)))]
    return deaths, told, done


async def acts_of(db: AsyncConnection, id: str) -> list[Act]:
    """What was done to a letter, oldest first."""
    rows = await db.execute(sa.select(acts).where(acts.c.letter == id).order_by(acts.c.no))
    return [
        Act(
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
        for row in rows
    ]


async def keep_act(db: AsyncConnection, id: str, act: Act) -> None:
    """Keep an act; a replay that is tried again keeps its row."""
    values = dataclasses.asdict(act)
    values["base_attempt"], values["base_time"] = values.pop("base")
    if act.replay:
        changed = await db.execute(acts.update().where(acts.c.replay == act.replay).values(**values))
        if changed.rowcount:
            return
    await db.execute(acts.insert().values(letter=id, **values))


async def keep_service(db: AsyncConnection, service: str, values: Mapping[str, Any], at: str) -> None:
    """Keep the newest manifest or heartbeat of a service; `at` names its time column, an older one changes nothing."""
    known = (await db.execute(sa.select(services).where(services.c.service == service))).first()
    if known is None:
        empty: dict[str, Any] = {"owner": "", "manifest_at": "", "heartbeat_at": "", "subscriptions": [], "says": []}
        await db.execute(
            services.insert().values({**empty, "sensitive": {}, "breakers": {}, "service": service, **values})
        )
    elif known._mapping[at] <= values[at]:
        await db.execute(services.update().where(services.c.service == service).values(**values))


def batches(values: Collection[T]) -> Iterable[list[T]]:
    """The values in parts that fit into one statement."""
    whole = list(values)
    for start in range(0, len(whole), IN_BATCH):
        yield whole[start : start + IN_BATCH]
