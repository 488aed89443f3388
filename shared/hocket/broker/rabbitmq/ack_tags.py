"""Which tags may be settled together (RULES 1.1). Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Ack(NamedTuple):
    """One ack to write; `multiple` settles every tag up to this one."""

    tag: int
    multiple: bool


class AckTags:
    """The tags of one channel: which are settled, and up to where all are."""

    def __init__(self) -> None:
        self._floor = 0
        self._above: set[int] = set()

    def finished(self, tags: Iterable[int]) -> list[Ack]:
        """The acks to write for tags that are finished now: one for the contiguous ones, single ones for the rest."""
        fresh = sorted({tag for tag in tags if tag > self._floor and tag not in self._above})
        if not fresh:
            return []
        self._above.update(fresh)
        self._rise()
        joined = [tag for tag in fresh if tag <= self._floor]
        single = [Ack(tag, False) for tag in fresh if tag > self._floor]
        return ([Ack(joined[-1], len(joined) > 1)] if joined else []) + single

    def returned(self, tags: Iterable[int]) -> list[int]:
        """The tags that really go back: those not settled before."""
        fresh = sorted({tag for tag in tags if tag > self._floor and tag not in self._above})
        self._above.update(fresh)
        self._rise()
        return fresh

    def _rise(self) -> None:
        while self._floor + 1 in self._above:
            self._floor += 1
            self._above.remove(self._floor)
