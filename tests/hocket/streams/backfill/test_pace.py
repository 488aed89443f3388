"""History gives way to live work (RULES 7.5 g)."""

from hocket.streams.backfill.pace import LATE_SECONDS, LEAST, MORE, MOST, Pace


def test_it_gives_way_and_comes_back() -> None:
    """RULES 7.5 g: halved while somebody waits, never below the least; it grows while nobody does."""
    pace = Pace()
    widths = [pace.look(0.0, live_waits=False, hurry=False) for _ in range(100)]
    assert widths[:2] == [LEAST + MORE, LEAST + 2 * MORE]
    assert widths[-1] == MOST
    assert pace.look(0.0, live_waits=True, hurry=False) == MOST // 2
    assert pace.look(2 * LATE_SECONDS, live_waits=False, hurry=False) == MOST // 4
    assert [pace.look(1.0, live_waits=True, hurry=False) for _ in range(100)][-1] == LEAST


def test_it_hurries_before_the_cut() -> None:
    """RULES 7.5 g: then live work waits, for what is cut is lost."""
    assert Pace().look(1.0, live_waits=True, hurry=True) == MOST
