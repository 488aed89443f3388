"""What becomes of the generations of one projection: begun, swapped in, dropped (RULES 14.2 to 14.5). Pure.

Every function takes the rows of one projection as they are under their lock, and returns the rows that change. The
model of `tests/model/projection` drives these functions.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class GenerationState(StrEnum):
    """Where a generation stands; it goes only forward."""

    BUILDING = "building"
    SERVING = "serving"
    OLD = "old"  # it served, and is fed as long as old processes may read it
    DROPPED = "dropped"  # nobody reads it; its queue and its tables are still there
    GONE = "gone"  # they are removed


#: States in which it hears and its tables may be read or compared.
LIVE = frozenset({GenerationState.BUILDING, GenerationState.SERVING, GenerationState.OLD})


class Generation(NamedTuple):
    """One row: what a generation is, and where it stands."""

    projection: str
    n: int
    version: int
    state: GenerationState
    made: bool = False
    watched: int = 0  # above 0: which watch it is; 0 and below: it is not watched, and the last watch had that number
    forced: bool = False
    changed: float = 0.0
    since: float = 0.0  # when the first message was said that the log held at its begin; 0: not known
    first: int = 0  # the offset of that message
    anchor: str = ""  # what identifies that message; "": the log was empty
    hears: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    note: str = ""

    @property
    def live(self) -> bool:
        """Whether it hears."""
        return self.state in LIVE


class LogStart(NamedTuple):
    """Where the log begins: its first message by offset and mark, and when that was said (0: it cannot be read)."""

    offset: int
    mark: str
    said: float = 0.0


Rows = Sequence[Generation]


def serving(rows: Rows) -> Generation | None:
    """The generation that serves."""
    return next((each for each in rows if each.state is GenerationState.SERVING), None)


def building(rows: Rows) -> Generation | None:
    """The generation that is being built."""
    return next((each for each in rows if each.state is GenerationState.BUILDING), None)


def declared(rows: Rows, made: Generation) -> list[Generation]:
    """A process has the code of `made.version`: the rows that change; none where a generation of it lives.

    The first generation serves at once, for nothing was read before. A version that is lower than one that was there
    begins nothing: it belongs to an old roll-out (RULES 14.5).
    """
    newest = max((each.version for each in rows), default=0)
    if made.version < newest or any(each.version == made.version and each.live for each in rows):
        return []
    return begun(rows, made)


def begun(rows: Rows, made: Generation) -> list[Generation]:
    """The next generation, and the one that it gives up: what is still being built is dropped by the same change."""
    n = max((each.n for each in rows), default=0) + 1
    state = GenerationState.BUILDING if serving(rows) is not None else GenerationState.SERVING
    given_up = building(rows)
    changed = [] if given_up is None else [given_up._replace(state=GenerationState.DROPPED)]
    return [*changed, made._replace(n=n, state=state)]


def may_swap(rows: Rows, n: int) -> bool:
    """Whether generation `n` is still being built, and is later than what serves."""
    new, old = building(rows), serving(rows)
    return new is not None and new.n == n and (old is None or (new.n > old.n and new.version >= old.version))


def swapped(rows: Rows, n: int, complete: bool) -> list[Generation]:
    """Generation `n` serves from now on, where it may and holds what the one before has handled, or a person says so.

    Nothing where it must not.
    """
    new, old = building(rows), serving(rows)
    if new is None or not may_swap(rows, n) or not (complete or new.forced):
        return []
    changed = [new._replace(state=GenerationState.SERVING, note="")]
    return changed if old is None else [unwatched(old)._replace(state=GenerationState.OLD), *changed]


def watched(old: Generation) -> Generation:
    """It notes what it handles from now on; a watch that goes on is shared, for it has noted all since it began."""
    return old if old.watched > 0 else old._replace(watched=1 - old.watched)


def unwatched(old: Generation) -> Generation:
    """It notes nothing any more: who compares by this watch has to begin anew."""
    return old._replace(watched=-abs(old.watched))


def over(rows: Rows, now: float, grace: float) -> list[Generation]:
    """Old generations whose grace of so many seconds is over are dropped: their state first (RULES 14.4)."""
    return [
        each._replace(state=GenerationState.DROPPED)
        for each in rows
        if each.state is GenerationState.OLD and now - each.changed >= grace
    ]


def removable(rows: Rows, now: float, wait: float) -> list[Generation]:
    """Dropped ones whose queue and tables may go: a transaction that a fail-over loses is young (RULES 14.4)."""
    return [each for each in rows if each.state is GenerationState.DROPPED and now - each.changed >= wait]


def history_gone(old: Generation, log: LogStart | None) -> bool:
    """Whether the log may no longer hold all that generation `old` has heard; None: it is empty (RULES 14.9)."""
    if log is None:
        return True
    if log.offset != old.first:
        return True  # cut, or made again
    return bool(old.anchor) and log.mark != old.anchor


def begun_at(row: Generation, old: Generation | None, log: LogStart | None, now: float) -> Generation:
    """The row of a generation that begins now, with where its history begins; that of a seeded one: as of the old."""
    if old is not None and old.n != row.n:
        return row._replace(since=old.since, first=old.first, anchor=old.anchor)
    if log is None:
        return row._replace(since=now, first=0, anchor="")
    return row._replace(since=log.said, first=log.offset, anchor=log.mark)


def read_by(rows: Rows, version: int) -> Generation | None:
    """Which generation a process with the code of this version reads: what serves, unless that is newer than its code.

    Then it is the one of its own version that still is fed; None: there is none.
    """
    now = serving(rows)
    if now is not None and now.version <= version:
        return now
    own = [each for each in rows if each.version == version and each.state is GenerationState.OLD]
    return max(own, key=lambda each: each.n, default=None)
