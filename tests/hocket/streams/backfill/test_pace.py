"""History gives way to live work (RULES 7.5 g)."""

from hocket.streams.backfill.pace import LEAST, LIVE_SECONDS, LOOK_SECONDS, MORE, MOST, SLOW_SECONDS, Pace


def test_it_gives_way_and_comes_back() -> None:
    """RULES 7.5 g: halved while live work would wait, never below the least; it grows while it would not."""
    pace, now, first = Pace(), 100.0, Pace().width
    pace.fed(0, now)
    pace.ended(1, now + 2 * SLOW_SECONDS)
    pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == first // 2
    pace.look(now + LOOK_SECONDS / 2, live=True, hurry=False)
    assert pace.width == first // 2, "between two looks nothing changes"
    for _ in range(100):
        pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == LEAST
    pace.fed(1, now)
    pace.ended(2, now + SLOW_SECONDS / 2)
    pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == LEAST + MORE


def test_where_nothing_lives_it_is_the_most() -> None:
    """RULES 7.5 g: however slow the handler is; and soon after live work was seen last."""
    pace, now = Pace(), 100.0
    pace.fed(0, now)
    pace.look(now, live=True, hurry=False)
    for _ in range(100):
        pace.look(now := now + LIVE_SECONDS, live=False, hurry=False)
    assert pace.width == MOST


def test_it_hurries_before_the_cut() -> None:
    """RULES 7.5 g: then live work waits, for what is cut is lost."""
    pace = Pace()
    pace.fed(0, 0.0)
    pace.look(100.0, live=True, hurry=True)
    assert pace.width == MOST
