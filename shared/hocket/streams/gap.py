"""Whether a stream still is the one that was read, or was cut or made anew meanwhile (RULES 7.2, 7.3). Pure.

A reader that goes on at n asks for n-1: the first message that comes must be that one, by offset and by its mark.
"""

import hashlib
from enum import StrEnum
from typing import NamedTuple

from hocket.broker.port import Delivery


class Kind(StrEnum):
    """What became of a stream since it was read."""

    SAME = "same"
    CUT = "cut"  # retention removed messages that were not read
    ANEW = "anew"  # it was deleted and declared again, or restored: its offsets mean other messages


class Found(NamedTuple):
    """What was found, and how many messages were missed for good, as far as offsets tell."""

    kind: Kind
    missed: int = 0


def mark_of(delivery: Delivery) -> str:
    """What tells this message from another one at the same offset; each publish has a `message_id` of its own."""
    identity = delivery.message_id.encode(errors="replace") + b"\0" + delivery.body[:1024]
    return hashlib.blake2b(identity, digest_size=8).hexdigest()


def judge(next: int, mark: str, first: Delivery) -> Found:
    """Compare the first message that came for `next - 1` with the one that was read last (`mark`, "" if unknown)."""
    offset = first.offset or 0
    if offset == next - 1:
        return Found(Kind.SAME if not mark or mark == mark_of(first) else Kind.ANEW)
    return Found(Kind.CUT, offset - next) if offset > next else Found(Kind.SAME)
