"""Derived keys and ids (RULES 2): the same input always gives the same key, so that duplicates are recognized.

Forms: UUIDv5 for a missing correlation id, UUIDv8 for the idempotency keys of said events and the ids of letters
(RFC 9562), hashes for the others. New ids are in `ids`.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5

from hocket.envelope.ids import as_uuid

#: Namespace of every UUIDv5 that hocket derives.
NAMESPACE = UUID("5e2b7c1e-6f0a-5b52-9a36-0e7f3c1d8a44")
#: Length of an inbox key in bytes: 4 of coarse time, 16 of a hash.
INBOX_KEY_BYTES = 20
#: What stands between the name and the number of a projection's generation, `shop.view@3`; no other name has it.
GENERATION_MARK = "@"
#: Parts of an inbox key of a generation: coarse time, hash of its queue, hash of the type, hash of the event.
TIME_BYTES, QUEUE_BYTES, TYPE_BYTES, FACT_BYTES = 4, 6, 4, 12
#: Hexadecimal digits of the name of a step run: 4 bytes of coarse time, 16 of a hash.
RUN_DIGITS = 40
#: The same before schema 4, when a run had no time: orders to undo in queues and letters name it so.
HASH_DIGITS = 32
#: Lengths of 4 bytes, of the parts that are hashed.
_LENGTHS = tuple(n.to_bytes(4, "big") for n in range(256))
#: Kinds of events (subscription, source, type) whose partial hash is cached.
KNOWN_CAUSES = 1024


def correlation_of(source: str, event_id: str) -> str:
    """The correlation id of an event without one: UUIDv5 of (source, id) (RULES 2.1)."""
    return str(uuid5(NAMESPACE, f"{source}\n{event_id}"))


def _joined(parts: Sequence[str]) -> bytes:
    """The parts, each after its length, so that no two lists give the same bytes."""
    return b"".join([_LENGTHS[n] + raw if (n := len(raw)) < 256 else n.to_bytes(4, "big") + raw
                     for raw in [part.encode() for part in parts]])  # fmt: skip


def digest(*parts: str) -> bytes:
    """A hash of 16 bytes over the parts and their lengths."""
    return hashlib.blake2b(_joined(parts), digest_size=16).digest()


@lru_cache(maxsize=KNOWN_CAUSES)
def _inbox_hash(subscription: str, source: str, type: str) -> "hashlib.blake2b":
    """The hash of an inbox key before the idempotency key is added: the same for every event of one kind."""
    return hashlib.blake2b(_joined(("inbox", subscription, source, type)), digest_size=16)


@lru_cache(maxsize=KNOWN_CAUSES)
def _said_hash(source: str, type: str) -> "hashlib.blake2b":
    """The hash of a said event's key before what differs from event to event."""
    return hashlib.blake2b(_joined(("said", source, type)), digest_size=16)


@lru_cache(maxsize=KNOWN_CAUSES)
def _said_tail(subscription: str, type: str, ordinal: int) -> bytes:
    """What is hashed last of it."""
    return _joined((subscription, type, str(ordinal)))


def _time_bits(key: str) -> int:
    """The 48 time bits of a UUIDv7 or v8; 0 for other keys (RULES 2.3)."""
    if len(key) != 36 or key[14] not in "78":
        return 0
    try:
        return int(key[0:8] + key[9:13], 16)
    except ValueError:
        return 0


def _coarse_time(key: str) -> bytes:
    """4 bytes, so that rows that are written together stand together."""
    return (_time_bits(key) >> 16).to_bytes(4, "big")


def inbox_key(subscription: str, source: str, type: str, idempotency_key: str) -> bytes:
    """The inbox key (RULES 2.2); it begins with the coarse time (65.5 s) of the idempotency key (RULES 2.3).

    That of a projection's generation is made of parts, so that what one generation has handled can be looked up for
    another (RULES 14.2).
    """
    if GENERATION_MARK in subscription:
        return fact_of(source, type, idempotency_key).key(subscription)
    lead = _coarse_time(idempotency_key)
    whole = _inbox_hash(subscription, source, type).copy()  # digest("inbox", subscription, source, type, key)
    key = idempotency_key.encode()
    whole.update(len(key).to_bytes(4, "big") + key)
    return lead + whole.digest()


class Fact(NamedTuple):
    """One event as every generation of a projection knows it: the part of its inbox keys that is the same in all."""

    time: bytes
    event: bytes  # hash of the type, hash of the whole

    def key(self, queue: str) -> bytes:
        """The inbox key of this event in the generation with this queue."""
        return self.time + queue_tag(queue) + self.event


def fact_of(source: str, type: str, idempotency_key: str) -> Fact:
    """What an event is to every generation of every projection (RULES 14.2)."""
    lead = _coarse_time(idempotency_key)
    return Fact(lead, type_tag(type) + digest("fact", source, type, idempotency_key)[:FACT_BYTES])


@lru_cache(maxsize=KNOWN_CAUSES)
def queue_tag(queue: str) -> bytes:
    """The part of an inbox key that says which generation it belongs to."""
    return digest("generation", queue)[:QUEUE_BYTES]


@lru_cache(maxsize=KNOWN_CAUSES)
def type_tag(type: str) -> bytes:
    """The part of a generation's inbox key that says which type of event it is."""
    return digest("type", type)[:TYPE_BYTES]


def derived_key(cause: tuple[str, str, str], subscription: str, type: str, ordinal: int, flow: str) -> str:
    """The idempotency key of a said event (RULES 2.3), a UUIDv8.

    `cause` is (source, type, idempotency key) of the event that was being handled. `ordinal` counts the said events of
    this `type`. The key begins with the time bits of `flow`, the correlation id.
    """
    whole = _said_hash(cause[0], cause[1]).copy()  # digest("said", *cause, subscription, type, str(ordinal))
    whole.update(_joined((cause[2],)) + _said_tail(subscription, type, ordinal))
    tail = int.from_bytes(whole.digest(), "big")
    value = _time_bits(flow) << 80 | 0x8 << 76 | (tail >> 64 & 0xFFF) << 64 | 0b10 << 62 | tail & (2**62 - 1)
    return as_uuid(value)


def outside_key(inbox: bytes, name: str = "") -> str:
    """The key for outside calls (RULES 2.4): the same in every attempt, different for each subscription and name."""
    return digest("outside", inbox.hex(), name).hex()


def undo_key(run: str, generation: int) -> str:
    """The idempotency key of the n-th undo of a step run (RULES 5.4)."""
    return digest("undo", run, str(generation)).hex()


def run_key(correlation_id: str, step: str, scope: str) -> str:
    """The name of a step run: coarse time of the correlation id, hash of (correlation id, subscription, scope).

    RULES 5.1. In hexadecimal digits; the ledger keeps the bytes.
    """
    return timed_run(correlation_id, digest("run", correlation_id, step, scope).hex())


def timed_run(correlation_id: str, digits: str) -> str:
    """The name of the run that had this hash as its whole name before schema 4."""
    return _coarse_time(correlation_id).hex() + digits


def scope_key(scope: str) -> str:
    """What is shown in place of a scope with a sensitive value: a hash, the same for the same scope (RULES 5.4)."""
    return digest("scope", scope).hex()


def death_id(*parts: str) -> str:
    """The id of a letter without an inbox row (RULES 8.1): a hash of the delivery, the same each time."""
    value = int.from_bytes(digest("death", *parts), "big")
    return as_uuid(value & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62)


def timer_key(correlation_id: str, subscription: str, scope: str) -> bytes:
    """The key of a time-out: coarse time of the flow and a hash; across flows `correlation_id` is "" (RULES 5.7)."""
    lead = (_time_bits(correlation_id) >> 16).to_bytes(4, "big")
    return lead + digest("timer", correlation_id, subscription, scope)


def alarm_key(run: bytes, n: int) -> str:
    """Id and idempotency key of the alarm of a time-out's n-th period (RULES 5.7), a UUIDv8."""
    tail = int.from_bytes(digest("overdue", run.hex(), str(n)), "big")
    lead = int.from_bytes(run[:4], "big") << 16
    return as_uuid(lead << 80 | 0x8 << 76 | (tail >> 64 & 0xFFF) << 64 | 0b10 << 62 | tail & (2**62 - 1))
