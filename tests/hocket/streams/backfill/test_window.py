"""What of the log is in hand (RULES 7.5 c)."""

from hypothesis import given
from hypothesis import strategies as st

from hocket.streams.backfill.window import Window


@given(st.lists(st.booleans(), max_size=30), st.randoms(use_true_random=False))
def test_the_place_is_the_lowest_unfinished_one(heard: list[bool], chance: st.DataObject) -> None:
    """RULES 7.5 c: in whatever order events are finished, and with the mark of the message before it."""
    window = Window(10, "before")
    for offset, each in enumerate(heard, 10):
        window.take(offset, f"m{offset}", heard=each)
    left = [offset for offset, each in enumerate(heard, 10) if each]
    order = list(left)
    chance.shuffle(order)  # type: ignore[attr-defined]
    for offset in order:
        low = min(left)
        assert (window.low, window.mark) == (low, f"m{low - 1}" if low > 10 else "before")
        assert window.open == len(left)
        window.finished(offset)
        window.finished(offset)
        left.remove(offset)
    assert window.low == window.next == 10 + len(heard)
    assert window.taken_off() == len(order)
    assert (len(window), window.heard, window.taken_off()) == (0, 0, 0)


def test_what_was_not_taken_is_not_finished() -> None:
    """RULES 7.5 c: a handle of an earlier opening moves nothing."""
    window = Window(3, "two")
    window.finished(3)
    assert (window.low, window.mark) == (3, "two")
