"""An ack covers several tags only if all of them are finished."""

from hypothesis import given
from hypothesis import strategies as st

from hocket.broker.rabbitmq.ack_tags import Ack, AckTags


def test_contiguous_are_joined() -> None:
    """RULES 1.1: one ack for the contiguous tags from the oldest, single ones for the rest."""
    tags = AckTags()
    assert tags.finished([1, 2, 3, 5, 7]) == [Ack(3, True), Ack(5, False), Ack(7, False)]
    assert tags.finished([4]) == [Ack(4, False)]
    assert tags.finished([6, 8]) == [Ack(8, True)]


def test_no_tag_twice() -> None:
    """A tag that was settled or returned is not written again: the broker would close the channel."""
    tags = AckTags()
    assert tags.finished([2, 2]) == [Ack(2, False)]
    assert tags.returned([1, 2]) == [1]
    assert tags.finished([1, 2]) == []
    assert tags.returned([1]) == []


@given(st.permutations(range(1, 30)), st.lists(st.integers(1, 8), min_size=29, max_size=29), st.integers(0, 29))
def test_any_order(order: list[int], portions: list[int], given_back: int) -> None:
    """RULES 1.1: in any order and grouping, what the broker settles is exactly what was finished."""
    tags, left, settled = AckTags(), list(order), set[int]()
    outstanding = set(order)
    for size in portions:
        portion, left = left[:size], left[size:]
        back = [tag for tag in portion if tag == given_back]
        outstanding -= set(tags.returned(back))
        for tag, multiple in tags.finished([tag for tag in portion if tag != given_back]):
            assert tag in outstanding
            taken = {one for one in outstanding if one <= tag} if multiple else {tag}
            outstanding -= taken
            settled |= taken
        assert settled == set(order[: len(order) - len(left)]) - {given_back}
