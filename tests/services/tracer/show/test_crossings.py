"""What leads from one flow to another, and back."""

from hocket.console.facts import Manifest
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.expectations import expectations
from services.tracer.fold.flow import Flow, fold
from services.tracer.show.crossings import crossings_of
from services.tracer.show.lanes import draw
from services.tracer.show.sentences import plain, where_is
from tests.services.tracer.saga_stories import SHOP, authorised, cancelled_elsewhere, fired, undone_by, unreached
from tests.services.tracer.sample_facts import Story

EXPECTED = expectations((each, each.time) for each in map(Manifest.model_validate, SHOP))


def flow_of(story: Story, foreign: Story | None = None) -> Flow:
    """A story's flow; `foreign` reaches it."""
    beyond = Beyond(foreign.told if foreign else ())
    return fold(story.flow, story.said, story.told, EXPECTED, beyond=beyond)


def test_a_cancellation_leads_to_the_flow_that_it_reached_and_back() -> None:
    """RULES 5.3, 5.7: both ends name each other, the step and the time-out."""
    order = authorised(1)
    cancellation = cancelled_elsewhere(2, order)
    order = undone_by(order, cancellation)
    there = [(each.kind, each.state, plain(each.sentence), each.flow) for each in crossings_of(flow_of(cancellation))]
    assert there == [
        ("timeout", "met", "order.cancelled met time-out orders.unshipped of another flow", order.flow),
        ("failure", "reached", "order.cancelled reached payments.authorise, a step of another flow", order.flow),
    ]
    flow = flow_of(order, cancellation)
    back = [(each.kind, each.state, plain(each.sentence), each.flow) for each in crossings_of(flow)]
    assert back == [
        ("timeout", "met", "order.cancelled of another flow met time-out orders.unshipped", cancellation.flow),
        ("failure", "reached", "order.cancelled of another flow reached payments.authorise", cancellation.flow),
    ]


def test_what_another_flow_cancelled_is_not_told_as_it_stood_before() -> None:
    """docs/console.md §1: the sentence names the failure of the other flow, which came after the flow's own events."""
    order = authorised(1)
    cancellation = cancelled_elsewhere(2, order)
    order = undone_by(order, cancellation)
    settled = order.end("shipping.ship", "payment.authorised", "refused", 1.0, 1.1)
    told = plain(where_is(order.subject, flow_of(settled, cancellation), order.at(99)))
    assert told.startswith("order/1 is cancelled by another flow: payments.void undid payments.authorise")


def test_the_lanes_lead_there_too() -> None:
    """docs/console.md §10.9: a way out at the run, a way in at the undo that it caused."""
    order = authorised(1)
    cancellation = cancelled_elsewhere(2, order)
    order = undone_by(order, cancellation)
    out = draw(flow_of(cancellation), order.at(99), str)
    assert [link.flow for each in out.items for link in each.links] == [order.flow, order.flow]
    came = draw(flow_of(order, cancellation), order.at(99), str)
    assert [link.flow for each in came.items for link in each.links] == [cancellation.flow, cancellation.flow]
    [entered] = [each for each in came.items if each.said_here]
    assert entered.lane == "payments"
    assert "order.cancelled of another flow reached payments.authorise" in [each.title for each in came.arrows]


def test_a_failure_that_found_no_run_leads_nowhere_and_says_so() -> None:
    """RULES 5.3: `reached: none`."""
    flow = flow_of(unreached(1))
    [found] = crossings_of(flow)
    assert (found.state, plain(found.sentence), found.flow) == (
        "none", "order.cancelled found no run of payments.authorise", "",
    )  # fmt: skip
    drawn = draw(flow, unreached(1).at(9), str)
    assert [(link.label, link.flow) for each in drawn.items for link in each.links] == [("reached: none", "")]


def test_within_one_flow_nothing_crosses() -> None:
    """A failure that reached a step of its own flow is drawn as its undo."""
    assert crossings_of(flow_of(fired(1))) == []
