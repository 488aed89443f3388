"""Decides which delivery tags one ack may cover (RULES 1.1). Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Ack(NamedTuple):
    """One ack to write; `multiple` settles every tag up to this one."""

    tag: int
    multiple: bool


class AckTags:
    """The tags of one channel: up to which tag all are settled, and which single ones above it."""

    def __init__(self) -> None:
        self._floor = 0
        self._above: set[int] = set()

    def finished(self, tags: Iterable[int]) -> list[Ack]:
        """The acks to write for newly finished tags: one for the contiguous ones, single ones for the rest."""
        new = sorted({tag for tag in tags if tag > self._floor and tag not in self._above})
        if not new:
            return []
        self._above.update(new)
        self._raise_floor()
        joined = [tag for tag in new if tag <= self._floor]
        single = [Ack(tag, False) for tag in new if tag > self._floor]
        return ([Ack(joined[-1], len(joined) > 1)] if joined else []) + single

    def returned(self, tags: Iterable[int]) -> list[int]:
        """The tags to return to the queue: those not settled before."""
        new = sorted({tag for tag in tags if tag > self._floor and tag not in self._above})
        self._above.update(new)
        self._raise_floor()
        return new

    def _raise_floor(self) -> None:
        while self._floor + 1 in self._above:
            self._floor += 1
            self._above.remove(self._floor)
