"""Time, folded."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.tracer.show.timescale import CEILING, FLOOR, FLOOR_BEGIN, NAME_ROOM, scale_of
from tests.services.tracer.sample_facts import START

MOMENTS = st.lists(
    st.integers(min_value=0, max_value=10**12).map(lambda us: START + timedelta(microseconds=us)), min_size=1
)


@settings(deadline=None)
@given(moments=MOMENTS, begins=st.data())
def test_time_only_runs_right(moments: list[datetime], begins: st.DataObject) -> None:
    """docs/console.md §10.2: later is never left of earlier, what is apart is apart, no silence takes too much."""
    heads = begins.draw(st.sets(st.sampled_from(moments)))
    scale = scale_of(moments, heads, 0)
    places = [scale.x(each) for each in sorted(moments)]
    assert places == sorted(places)
    steps = [round(b - a, 1) for a, b in pairwise(scale.places)]
    assert all(FLOOR <= each <= CEILING + 0.1 for each in steps)


def test_a_run_gets_room_for_its_arrow() -> None:
    """An interval that ends in the begin of a run has room for the head of an arrow."""
    begin = START + timedelta(milliseconds=2)
    assert scale_of([START, begin], {begin}, 0).width == FLOOR_BEGIN
    assert scale_of([START, begin], set(), 0).width == FLOOR


def test_moments_nearer_than_a_millisecond_are_one() -> None:
    """What no clock can tell apart stands at one place."""
    near = START + timedelta(microseconds=900)
    scale = scale_of([START, near], set(), 500)
    assert scale.x(START) == scale.x(near) == 0.0


def test_a_short_flow_is_stretched_and_a_silence_folded() -> None:
    """Intervals over 10 s are folded and their length is kept; all is stretched to the width, within reason."""
    late = START + timedelta(minutes=5)
    scale = scale_of([START, START + timedelta(seconds=1), late], set(), 400)
    assert 300 < scale.width <= 400
    assert [fold.seconds for fold in scale.folds()] == [299.0]


def test_names_have_room() -> None:
    """The axis names a moment only where its name fits."""
    moments = [START + timedelta(seconds=each) for each in range(40)]
    ticks = scale_of(moments, set(), 1000).ticks()
    assert ticks[0].moment == START
    assert all(b.x - a.x >= NAME_ROOM for a, b in pairwise(ticks))


def test_nothing_has_no_scale() -> None:
    """A flow without a moment is drawn as nothing."""
    scale = scale_of([], set(), 100)
    assert (scale.width, scale.x(START), scale.ticks()) == (0.0, 0.0, [])
