"""What the desk reads: dead letters, and the receipts that settle them."""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ValidationError

from hocket import Tx
from hocket.clock import rfc3339
from hocket.observe import Raw
from services.deadletters.keep import letters as storage
from services.deadletters.read.letter import MAX_ERROR, moment, number, read, text
from services.deadletters.service import deadletters

#: Outcomes that can settle a letter or tell how its replay goes.
SETTLING = frozenset({"handled", "obsolete", "refused"})


@deadletters.reads("dead")
async def take(letters: list[Raw], tx: Tx) -> None:
    """Store each letter whole; one that is here already gets a second arrival (RULES 8.1)."""
    db = await tx.db()
    await storage.take_turn(db)
    now = rfc3339(tx.time)
    await storage.restate(db, await storage.store(db, [read(raw) for raw in letters], now))


@deadletters.reads("receipts")
async def settle(messages: list[Raw], tx: Tx) -> None:
    """Keep what settles letters (RULES 8.2), who owns what, which fields are sensitive, which breakers are open."""
    receipts: list[dict[str, Any]] = []
    reports: list[tuple[str, dict[str, Any], str]] = []
    for fact in facts(messages):
        if fact.get("kind") == "receipt":
            receipts += _receipt(fact)
        else:
            reports += _report(fact)
    if not receipts and not reports:
        return
    db = await tx.db()
    await storage.take_turn(db)
    for service, values, at in reports:
        await storage.keep_service(db, service, values, at)
    if receipts:
        await storage.restate(db, await storage.keep_receipts(db, receipts))


def facts(messages: Iterable[Raw]) -> Iterable[Mapping[str, Any]]:
    """The facts of some messages of the stream; what is no JSON array of objects is passed over."""
    for raw in messages:
        try:
            found = json.loads(raw.body)
        except (ValueError, RecursionError):
            continue
        yield from (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _receipt(fact: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A receipt as it is kept: one that may settle a letter, or tells how a replay goes."""
    event = fact.get("event")
    outcome, replay = text(fact.get("outcome")), text(fact.get("replay"))
    if not isinstance(event, dict) or (outcome not in SETTLING and not replay):
        return
    yield {
        "subscription": text(fact.get("subscription")),
        "source": text(event.get("source")),
        "event_id": text(event.get("id")),
        "attempt": number(fact.get("attempt"), 1),
        "outcome": outcome,
        "replay": replay,
        "time": moment(fact.get("ended")) or moment(fact.get("time")),
        "next_at": moment(fact.get("next_at")),
        "error": text(fact.get("error"), MAX_ERROR),
    }


#: A name as every store takes it.
Name = Annotated[str, AfterValidator(text)]


class _Manifest(BaseModel):
    """What is read of a manifest; one of another shape is passed over whole."""

    service: Name
    time: Name
    owner: Name = ""
    subscriptions: list[dict[str, list[tuple[str, int]] | str | int | None]] = []
    says: list[tuple[str, int]] = []
    sensitive: dict[str, list[str]] = {}


class _Heartbeat(BaseModel):
    """What is read of a heartbeat."""

    service: Name
    time: Name
    breakers: dict[str, dict[str, str | None]] = {}


def _report(fact: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any], str]]:
    """A manifest or heartbeat as it is kept, and which column has its time."""
    try:
        if fact.get("kind") == "manifest":
            manifest = _Manifest.model_validate(fact)
            said = manifest.model_dump(mode="json", exclude={"service", "time"})
            yield manifest.service, {**said, "manifest_at": manifest.time}, "manifest_at"
        elif fact.get("kind") == "heartbeat":
            beat = _Heartbeat.model_validate(fact)
            yield beat.service, {"breakers": beat.breakers, "heartbeat_at": beat.time}, "heartbeat_at"
    except ValidationError:
        return
