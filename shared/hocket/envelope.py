"""The envelope: CloudEvents 1.0.2 attributes around one event (DESIGN §3).

Encoded as structured JSON, canonical by RFC 8785: one body that survives queues, dead letters, exports and replays
byte for byte. Foreign events in structured or binary mode are understood, missing attributes derived (RULES 2.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: Content type of everything hocket publishes.
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
#: Type and version of the kit's own undo envelopes.
UNDO_TYPE = "hocket.undo"

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it travels. `source` and `id` together are its identity and never change."""

    id: str
    source: str
    type: str
    version: int
    subject: str
    time: datetime
    correlation_id: str
    idempotency_key: str
    data: Mapping[str, Json]
    causation_id: str = ""
    revision: int = 0
    traceparent: str = ""
    tracestate: str = ""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)  # of foreign publishers, kept
