"""Identities and keys (RULES 2): minted where something is new, derived where doubles must meet.

UUIDv7 (RFC 9562) for what is new, UUIDv5 for a missing correlation id, UUIDv8 for derived keys. Chance and time are
passed in.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID, uuid5

from hocket.envelope.ids import as_uuid

#: Namespace of every UUIDv5 that hocket derives.
NAMESPACE = UUID("5e2b7c1e-6f0a-5b52-9a36-0e7f3c1d8a44")
#: Length of an inbox key in bytes: 4 of coarse time, 16 of hash.
INBOX_KEY_BYTES = 20
#: Kinds of events (subscription, source, type) whose half-made hash is remembered.
KNOWN_CAUSES = 1024


def correlation_of(source: str, event_id: str) -> str:
    """The correlation id of an event that came without one: uuid5 of (source, id) (RULES 2.1)."""
    return str(uuid5(NAMESPACE, f"{source}\n{event_id}"))


def _joined(parts: Sequence[str]) -> bytes:
    """The parts, each behind its length."""
    return b"".join([len(raw).to_bytes(4, "big") + raw for raw in [part.encode() for part in parts]])


def digest(*parts: str) -> bytes:
    """16 bytes that stand for the parts; no two lists of parts are joined to the same text."""
    return hashlib.blake2b(_joined(parts), digest_size=16).digest()


@lru_cache(maxsize=KNOWN_CAUSES)
def _inbox_hash(subscription: str, source: str, type: str) -> "hashlib.blake2b":
    """The hash of an inbox key up to the idempotency key: the same for every event of one kind."""
    return hashlib.blake2b(_joined(("inbox", subscription, source, type)), digest_size=16)


def _time_bits(key: str) -> int:
    """The 48 time bits of a UUIDv7 or v8, else zero (RULES 2.3)."""
    if len(key) != 36 or key[14] not in "78":
        return 0
    try:
        return int(key[0:8] + key[9:13], 16)
    except ValueError:
        return 0


def inbox_key(subscription: str, source: str, type: str, idempotency_key: str) -> bytes:
    """The inbox key of RULES 2.2, led by the coarse time (65.5 s) of the idempotency key itself (RULES 2.3)."""
    lead = (_time_bits(idempotency_key) >> 16).to_bytes(4, "big")
    whole = _inbox_hash(subscription, source, type).copy()  # digest("inbox", subscription, source, type, key)
    key = idempotency_key.encode()
    whole.update(len(key).to_bytes(4, "big") + key)
    return lead + whole.digest()


def derived_key(cause: tuple[str, str, str], subscription: str, type: str, ordinal: int, flow: str) -> str:
    """The idempotency key of a said event (RULES 2.3), a UUIDv8.

    `cause` is (source, type, idempotency key) of what was being handled, `ordinal` counts within `type`, `flow` is
    the correlation id whose time bits lead.
    """
    tail = int.from_bytes(digest("said", *cause, subscription, type, str(ordinal)), "big")
    value = _time_bits(flow) << 80 | 0x8 << 76 | (tail >> 64 & 0xFFF) << 64 | 0b10 << 62 | tail & (2**62 - 1)
    return as_uuid(value)


def outside_key(inbox: bytes, name: str = "") -> str:
    """The key handed to the outside (RULES 2.4): stable over attempts, different for every subscription and name."""
    return digest("outside", inbox.hex(), name).hex()


def undo_key(run: str, generation: int) -> str:
    """The idempotency key of the n-th undo of a step run (RULES 5.4)."""
    return digest("undo", run, str(generation)).hex()


def run_key(correlation_id: str, step: str, scope: str) -> str:
    """The name of a step run: (correlation id, subscription, scope) (RULES 5.1)."""
    return digest("run", correlation_id, step, scope).hex()


def death_id(*parts: str) -> str:
    """The letter's identity where the inbox row has none (RULES 8.1): a hash of what died, the same each time."""
    value = int.from_bytes(digest("death", *parts), "big")
    return as_uuid(value & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62)
