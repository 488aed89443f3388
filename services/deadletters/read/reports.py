"""Reads the receipts stream: receipts, manifests and heartbeats in the form the desk stores. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ValidationError

from hocket.observe import Raw
from services.deadletters.read.letter import MAX_ERROR, moment, number, text

#: Outcomes that can settle a letter.
SETTLING = frozenset({"handled", "obsolete", "refused"})
#: A name that every database accepts.
Name = Annotated[str, AfterValidator(text)]


def facts(messages: Iterable[Raw]) -> Iterable[Mapping[str, Any]]:
    """The facts of some messages of the stream; anything but a JSON array of objects is skipped."""
    for raw in messages:
        try:
            found = json.loads(raw.body)
        except (ValueError, RecursionError):
            continue
        yield from (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def receipt_of(fact: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A receipt as it is kept: one that may settle a letter, or belongs to a replay."""
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


class _Manifest(BaseModel):
    """What is read of a manifest; one of another shape is skipped whole."""

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


def report_of(fact: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any], str]]:
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
