"""What a backfill decides by its row (RULES 7.5); the model visits these decisions in every order."""

import pytest

from hocket.streams.backfill.state import (
    MOST_LETTERS,
    Backfill,
    Phase,
    accepted,
    begun_again,
    broken,
    compare,
    let_on,
    read_to,
    shorter,
)
from hocket.streams.gap import Kind

FRESH = Backfill("shop.history", "1", start=5, next=5, anchor="five")
LATER = FRESH._replace(next=9, mark="eight")


@pytest.mark.parametrize(
    ("row", "offset", "mark", "kind", "missed"),
    [
        (FRESH, 5, "five", Kind.SAME, 0),
        (FRESH, 5, "other", Kind.ANEW, 0),
        (FRESH, 7, "seven", Kind.CUT, 2),
        (LATER, 8, "eight", Kind.SAME, 0),
        (LATER, 8, "other", Kind.ANEW, 0),
        (LATER, 12, "twelve", Kind.CUT, 3),
        (FRESH._replace(anchor=""), 5, "any", Kind.SAME, 0),
        (FRESH._replace(anchor=""), 6, "any", Kind.CUT, 1),
    ],
)
def test_one_back_and_compare(row: Backfill, offset: int, mark: str, kind: Kind, missed: int) -> None:
    """RULES 7.5 d: one check for both a cut and another log."""
    found = compare(row, offset, mark)
    assert (found.kind, found.missed) == (kind, missed)
    assert row.here == (8 if row.mark else 5)


def test_a_log_that_ends_before_what_was_read_is_another_one() -> None:
    """RULES 7.5 d: at an offset behind its end nothing would ever come."""
    assert shorter(LATER, 8)
    assert not shorter(LATER, 9)
    assert not shorter(FRESH._replace(anchor=""), 0)


def test_the_place_never_moves_back() -> None:
    """RULES 7.5 c: it is the lowest offset that is not finished."""
    assert read_to(LATER, 7, "six", 0, 0) == LATER
    assert read_to(LATER, 10, "nine", 2, 0) == LATER._replace(next=10, mark="nine", events=2)


def test_letters_pause_it() -> None:
    """RULES 7.5 h: at the bound, counted from the last time that a person let it go on."""
    paused = read_to(LATER._replace(letters=MOST_LETTERS - 1), 10, "nine", 1, 1)
    assert paused.phase is Phase.PAUSED
    on = let_on(paused)
    assert (on.phase, on.letters) == (Phase.READING, 0)


def test_a_gap_that_was_accepted_is_counted() -> None:
    """RULES 7.5 d: it reads on from what is there, and earlier markers do not count."""
    failed = broken(LATER, compare(LATER, 12, "twelve"))
    assert failed.phase is Phase.FAILED
    again = begun_again(accepted(failed, "2"), 12, "twelve")
    assert (again.id, again.next, again.here, again.expected, again.missed) == ("2", 12, 12, "twelve", 3)
