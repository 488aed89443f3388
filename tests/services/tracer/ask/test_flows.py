"""Which flow answers for a subject."""

from services.tracer.ask.flows import telling
from tests.services.tracer.sample_facts import folded, happy, placed, rejected


def test_which_flow_tells_where_a_subject_is() -> None:
    """A flow that needs a person or is open tells more than a newer one that is done."""
    newest, going, lost = folded(happy(1)), folded(placed(2)), folded(rejected(3, undo="dead"))
    assert telling([newest, going]) is going
    assert telling([newest, going, lost]) is lost
    assert telling([newest]) is newest
