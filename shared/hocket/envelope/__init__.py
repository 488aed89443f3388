"""What travels on the broker: the CloudEvents envelope of one event, its JSON, and the keys and ids derived from it.

Imports `errors` and `clock` alone. Used by every room that reads, writes or identifies an event.
"""

from hocket.envelope.cloudevent import (
    CONTENT_TYPE,
    MARKER_TYPE,
    OVERDUE_TYPE,
    UNDO_TYPE,
    Envelope,
    Json,
    Received,
    canonical,
    data_hash,
    decode,
    encode,
    read,
)
from hocket.envelope.packing import ENCODING

__all__ = [
    "CONTENT_TYPE",
    "ENCODING",
    "MARKER_TYPE",
    "OVERDUE_TYPE",
    "UNDO_TYPE",
    "Envelope",
    "Json",
    "Received",
    "canonical",
    "data_hash",
    "decode",
    "encode",
    "read",
]
