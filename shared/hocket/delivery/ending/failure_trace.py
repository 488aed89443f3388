"""What a tombstone keeps of a failure: which event it was and of which flow, never its data (RULES 5.3). Pure."""

from collections.abc import Mapping

from hocket.clock import rfc3339
from hocket.envelope.canonical_json import Json, canonical, read_json
from hocket.envelope.cloudevent import Envelope


def trace_of(failure: Envelope) -> bytes:
    """Type, source, id, time and flow of a failure, as canonical JSON."""
    return canonical(
        {
            "type": failure.type,
            "source": failure.source,
            "id": failure.id,
            "time": rfc3339(failure.time),
            "correlationid": failure.correlation_id,
        }
    )


def failure_of(trace: bytes) -> Mapping[str, Json] | None:
    """The trace as a receipt tells it; None where there is none."""
    found = read_json(trace) if trace else None
    if not isinstance(found, dict):
        return None
    return {name: found.get(name) for name in ("type", "source", "id", "time", "correlationid")}
