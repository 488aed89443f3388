"""Reads envelopes of the log as facts. Pure."""

import json

from hocket.envelope import Envelope
from hocket.observe import Raw
from services.tracer.read.facts import Said


def said_of(envelope: Envelope) -> Said:
    """The tracer's fact of one envelope."""
    return Said(
        source=envelope.source, id=envelope.id, type=envelope.type, version=envelope.version, subject=envelope.subject,
        time=envelope.time, flow=envelope.correlation_id, cause=envelope.causation_id,
        data=json.dumps(envelope.data, ensure_ascii=False, separators=(",", ":")),
    )  # fmt: skip


def place_of(raw: Raw) -> str:
    """Where a message stands in its stream, as text that sorts like its offset."""
    return f"{raw.offset or 0:020d}"
