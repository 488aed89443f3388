"""How far the reading is ahead of the log's retention (RULES 7.5 g)."""

from hocket.streams.backfill.headroom import Headroom


def test_half_of_the_way_to_the_cut_is_noticed() -> None:
    """RULES 7.5 g: only where retention really cuts."""
    room = Headroom()
    assert not room.look(0, 0), "at its start it stands where the log begins"
    assert not room.look(0, 1000)
    assert not room.look(400, 1100)
    assert room.look(700, 1200)
    assert room.now == 500
