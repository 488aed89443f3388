"""Reads messages of the log and of the receipts stream as facts; invalid ones are set aside with the reason. Pure."""

import json
from typing import NamedTuple

from pydantic import ValidationError

from hocket.envelope import Envelope
from hocket.observe import Raw
from services.tracer.read.facts import Reported, Said, reported


class Aside(NamedTuple):
    """A message or a fact that could not be read: the stream, the place in it, and the reason."""

    stream: str
    place: str
    why: str
    body: bytes


#: Most facts in one message of the receipts stream; a message with more is set aside whole.
MAX_FACTS_PER_MESSAGE = 5_000


def said_of(envelope: Envelope) -> Said:
    """The tracer's fact of one envelope."""
    return Said(
        source=envelope.source, id=envelope.id, type=envelope.type, version=envelope.version, subject=envelope.subject,
        time=envelope.time, flow=envelope.correlation_id, cause=envelope.causation_id,
        data=json.dumps(envelope.data, ensure_ascii=False, separators=(",", ":")),
    )  # fmt: skip


def facts_of(raw: Raw) -> tuple[list[Reported], list[Aside]]:
    """The valid facts of one message, and its invalid parts. An invalid fact does not affect its neighbours."""
    try:
        found = json.loads(raw.body)
    except (ValueError, RecursionError) as error:
        return [], [Aside("receipts", place_of(raw), f"not JSON: {error}", raw.body)]
    if not isinstance(found, list) or len(found) > MAX_FACTS_PER_MESSAGE:
        return [], [
            Aside("receipts", place_of(raw), f"not a JSON array of at most {MAX_FACTS_PER_MESSAGE} facts", raw.body)
        ]
    facts: list[Reported] = []
    aside: list[Aside] = []
    for at, value in enumerate(found):
        try:
            facts.append(reported(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(str(each) for each in first['loc'])}: {first['msg']}"
            aside.append(Aside("receipts", f"{place_of(raw)}/{at}", why, json.dumps(value).encode()))
        except ValueError as error:
            aside.append(Aside("receipts", f"{place_of(raw)}/{at}", str(error), json.dumps(value).encode()))
    return facts, aside


def place_of(raw: Raw) -> str:
    """Where a message stands in its stream, as text that sorts like its offset."""
    return f"{raw.offset or 0:020d}"
