"""What an ending says about its subject, and the decisions that both drivers take by it. Pure; the model runs them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Latest(NamedTuple):
    """The greatest value that was handled: of which field, and the value in bytes that sort as it does."""

    field: str
    value: bytes


class LatestWrite(NamedTuple):
    """Compare-and-set of one row: the ending has lost where the row is greater (RULES 15.1)."""

    key: bytes
    row: Latest


class Mark(NamedTuple):
    """One predecessor and subject: whether it was handled there, and whether somebody waits for it."""

    done: bool = False
    wanted: bool = False


class MarkWrite(NamedTuple):
    """`done`: the predecessor was handled. Else somebody waits for it, at most `wait` seconds (RULES 15.4)."""

    key: bytes
    done: bool
    wait: float = 0.0


def is_stale(known: Latest | None, given: Latest) -> bool:
    """Whether a greater value was handled. Values of different fields are not compared; equal ones are not stale."""
    return known is not None and known.field == given.field and known.value > given.value


def marked(known: Mark, write: MarkWrite) -> Mark:
    """The mark after this write."""
    return known._replace(done=True) if write.done else known._replace(wanted=True)


def wakes(mark: Mark) -> bool:
    """Whether all who wait are sent now, in the same transaction; then `sent` is the mark."""
    return mark.done and mark.wanted


def sent(mark: Mark) -> Mark:
    """The mark after all who waited were sent."""
    return mark._replace(wanted=False)


def schedule_of(key: bytes) -> str:
    """The name by which the rows of those who wait are found in the outbox. No event type begins with a space."""
    return f" after {key.hex()}"


def passes(writes: Sequence[LatestWrite | None]) -> list[list[int]]:
    """Positions in the order in which they are written: none has one row twice, so the second sees what the first left.

    The least number of passes; most groups need one.
    """
    found: list[list[int]] = []
    seen: dict[bytes, int] = {}
    for at, write in enumerate(writes):
        nth = 0
        if write is not None:
            nth = seen.get(write.key, 0)
            seen[write.key] = nth + 1
        while len(found) <= nth:
            found.append([])
        found[nth].append(at)
    return found


def merged(writes: Iterable[MarkWrite]) -> Mapping[bytes, tuple[Mark, float]]:
    """What these writes together ask of each mark, by key in order, with the longest wait."""
    found: dict[bytes, tuple[Mark, float]] = {}
    for write in writes:
        mark, wait = found.get(write.key, (Mark(), 0.0))
        found[write.key] = (marked(mark, write), max(wait, write.wait))
    return dict(sorted(found.items()))
