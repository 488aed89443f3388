"""The median of what senders' timestamps say of our clock."""

from hocket.worker.webhooks.checks.skew import COUNTS_SECONDS, FEWEST, SkewWatch


def test_what_came_long_ago_says_nothing_of_our_clock() -> None:
    """RULES 12.8: a service that is not ready gets no pushes by which it could see that its clock is right again."""
    now = [0.0]
    watch = SkewWatch(lambda: now[0])
    for _ in range(FEWEST):
        watch.add(200.0)
    now[0] = COUNTS_SECONDS
    assert len(watch.reasons()) == 1
    now[0] += 1.0
    assert watch.reasons() == []


def test_one_sender_among_others_is_not_our_clock() -> None:
    """RULES 12.8: the median, not the mean."""
    watch = SkewWatch(lambda: 0.0)
    for at in range(2 * FEWEST + 1):
        watch.add(250.0 if at % 2 else 0.0)
    assert watch.reasons() == []
