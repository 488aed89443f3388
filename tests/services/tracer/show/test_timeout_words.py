"""What a time-out says of itself."""

from hocket.console.facts import Manifest
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.expectations import expectations
from services.tracer.fold.timeouts import TimeOut, timeouts_of
from services.tracer.show.timeout_words import answered_by, armed_by, stands
from tests.services.tracer.saga_stories import SHOP, fired, placed, shipped, unreached
from tests.services.tracer.sample_facts import START, Story


def only(story: Story) -> TimeOut:
    """The one time-out of a story."""
    [found] = timeouts_of(story.flow, story.told)
    return found


def test_where_it_stands() -> None:
    """A clause for each state; a due moment that has passed is no promise."""
    story = placed(1)
    assert stands(only(story), START) == "due at 14:05:30"
    due = "due since 14:05:30, not decided yet: what stood in its queue is heard first"
    assert stands(only(story), story.at(40)) == due
    assert stands(only(shipped(1)), START) == "met by parcel.shipped at 14:05:04"
    assert stands(only(fired(1)), START) == "fired at 14:05:30: nothing had answered it"
    late = "fired at 14:05:30, parcel.shipped came 15.1 s late at 14:05:45 and is undone"
    assert stands(only(fired(1, late=True)), START) == late
    assert stands(only(unreached(1)), START) == "answered; nothing has armed it"


def test_by_what() -> None:
    """What armed it, and what answers it as declared."""
    found = [(Manifest.model_validate(each), START) for each in SHOP]
    known = Knowledge(found, expectations(found))
    assert armed_by(only(placed(1)), START) == "order.placed at 14:05:00"
    assert answered_by(only(placed(1)), known) == ("parcel.shipped", "order.cancelled")
    assert answered_by(only(placed(1)), Knowledge((), {})) == ()
