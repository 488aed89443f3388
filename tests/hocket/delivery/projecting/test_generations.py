"""Which generation begins, serves and ends: pure decisions, which the model drives too."""

from typing import Any

import pytest

from hocket.delivery.projecting.generations import (
    Generation,
    GenerationState,
    LogStart,
    begun_at,
    declared,
    history_gone,
    over,
    read_by,
    removable,
    swapped,
    unwatched,
    watched,
)

BUILDING, SERVING, OLD, DROPPED = (GenerationState(each) for each in ("building", "serving", "old", "dropped"))


def one(n: int, state: GenerationState, version: int = 0, **more: Any) -> Generation:
    """A row of a projection, version n unless another is given."""
    return Generation("view", n, version or n, state)._replace(**more)


def brief(rows: list[Generation]) -> dict[int, str]:
    """Number and state."""
    return {each.n: str(each.state) for each in rows}


def test_what_a_process_begins() -> None:
    """RULES 14.1, 14.5: the first serves at once; a higher version is built and gives up the one before it."""
    assert brief(declared([], one(0, BUILDING, 1))) == {1: "serving"}
    rows = [one(1, SERVING)]
    assert declared(rows, one(0, BUILDING, 1)) == []
    assert brief(declared(rows, one(0, BUILDING, 2))) == {2: "building"}
    rows = [one(1, SERVING), one(2, BUILDING)]
    assert brief(declared(rows, one(0, BUILDING, 3))) == {2: "dropped", 3: "building"}
    assert declared(rows, one(0, BUILDING, 1)) == []  # an old roll-out begins nothing
    assert declared([one(1, SERVING), one(2, DROPPED)], one(0, BUILDING, 1)) == []


def test_what_may_be_swapped_in() -> None:
    """RULES 14.2: what is still being built, is later, and is complete or let in by a person."""
    rows = [one(1, SERVING), one(2, BUILDING)]
    assert brief(swapped(rows, 2, complete=True)) == {1: "old", 2: "serving"}
    assert swapped(rows, 2, complete=False) == []
    assert brief(swapped([rows[0], rows[1]._replace(forced=True)], 2, complete=False)) == {1: "old", 2: "serving"}
    assert swapped([one(1, SERVING), one(2, DROPPED), one(3, BUILDING)], 2, complete=True) == []
    assert swapped([one(3, SERVING), one(2, BUILDING)], 2, complete=True) == []


def test_a_watch_has_a_number() -> None:
    """RULES 14.2: one that goes on is shared; after its end the next has another number."""
    first = watched(one(1, SERVING))
    assert watched(first) == first
    assert watched(unwatched(first)).watched == first.watched + 1
    assert unwatched(first).watched <= 0


def test_when_it_ends() -> None:
    """RULES 14.4: the grace counts from the swap, the removal from the drop."""
    rows = [one(1, OLD, changed=100.0), one(2, SERVING, changed=100.0)]
    assert over(rows, 159.0, 60.0) == []
    assert brief(over(rows, 160.0, 60.0)) == {1: "dropped"}
    rows = [one(1, DROPPED, changed=100.0), one(2, SERVING)]
    assert removable(rows, 109.0, 10.0) == []
    assert brief(removable(rows, 110.0, 10.0)) == {1: "dropped"}


@pytest.mark.parametrize(("version", "found"), [(2, 2), (3, 2), (1, 1)])
def test_who_reads_what(version: int, found: int) -> None:
    """RULES 14.4, 14.6: what serves, unless it is newer than the code; then its own, as long as that is fed."""
    rows = [one(1, OLD), one(2, SERVING)]
    assert (read_by(rows, version) or one(0, OLD)).n == found


def test_an_old_process_whose_tables_are_gone_reads_nothing() -> None:
    """RULES 14.4: after the grace."""
    assert read_by([one(1, DROPPED), one(2, SERVING)], 1) is None


@pytest.mark.parametrize(
    ("log", "gone"),
    [
        (LogStart(5, "a"), False),
        (LogStart(6, "b"), True),
        (LogStart(0, "a"), True),  # made again
        (LogStart(5, "b"), True),  # made again, and grown beyond
        (None, True),
    ],
)
def test_whether_history_is_gone(log: LogStart | None, gone: bool) -> None:
    """RULES 14.9: the log begins elsewhere than when the generation before began."""
    assert history_gone(one(1, SERVING, since=50.0, first=5)._replace(anchor="a"), log) is gone


def test_where_a_generation_begins() -> None:
    """RULES 14.9: with the log; a later one counts from where the one before began."""
    first = begun_at(one(1, SERVING), None, LogStart(7, "a", 70.0), 99.0)
    assert (first.first, first.since) == (7, 70.0)
    assert begun_at(one(1, SERVING), None, None, 99.0).since == 99.0
    assert begun_at(one(2, BUILDING), first, LogStart(9, "b", 90.0), 99.0).first == 7
