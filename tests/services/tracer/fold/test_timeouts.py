"""The time-outs of a flow, folded from receipts in any order."""

import itertools
from datetime import timedelta

import pytest

from hocket.clock import rfc3339
from hocket.console.facts import Manifest
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.expectations import expectations
from services.tracer.fold.flow import Flow, FlowState, fold
from services.tracer.fold.timeouts import TimeOut, timeouts_of
from tests.services.tracer.saga_stories import (
    SHOP,
    authorised,
    cancelled_elsewhere,
    fired,
    placed,
    shipped,
    timer,
    undone_by,
    unreached,
)
from tests.services.tracer.sample_facts import Story

EXPECTED = expectations((each, each.time) for each in map(Manifest.model_validate, SHOP))


def only(story: Story) -> TimeOut:
    """The one time-out of a story."""
    [found] = timeouts_of(story.flow, story.told)
    return found


def flow_of(story: Story, *others: Story) -> Flow:
    """A story's flow; what other stories tell about it is known too."""
    foreign = [
        each
        for other in others
        for each in other.told
        if story.flow in each.flows_reached or (each.timer and each.timer.flow == story.flow)
    ]
    return fold(story.flow, story.said, story.told, EXPECTED, beyond=Beyond(foreign))


def test_armed_then_due() -> None:
    """RULES 5.7: due when it was armed for; that it is due is a matter of the moment."""
    story = placed(1)
    found = only(story)
    assert (found.subscription, found.word(story.at(1)), found.due) == ("orders.unshipped", "armed", story.at(30.1))
    assert [(each.n, each.type, each.end) for each in found.periods] == [(1, "order.placed", None)]
    assert found.word(story.at(31)) == "called"


def test_met_by_an_answer() -> None:
    """RULES 5.7: the first answer ends the period; a further one changes nothing."""
    story = shipped(1)
    story.end("orders.unshipped", "payment.authorised", "handled", 9.0, 9.1, **timer(story, "met"))
    found = only(story)
    assert found.word(story.at(100)) == "met"
    assert found.met_by is not None
    assert (found.met_by.type, found.periods[0].end) == ("parcel.shipped", story.at(4.2))


def test_fired_and_answered_late() -> None:
    """RULES 5.7: late by how much, and what becomes of it; what the time-out said itself is no answer."""
    story = fired(1, late=True)
    found = only(story)
    assert (found.word(story.at(99)), found.fired) == ("late", story.at(30.3))
    assert [(each.type, each.late, each.kept) for each in found.late] == [("parcel.shipped", 15.1, "undone")]
    assert len(found.answers) == 1
    assert found.own == (story.id("order.cancelled"),)
    assert only(fired(2)).word(story.at(99)) == "fired"


def test_a_further_arming_begins_anew() -> None:
    """RULES 5.7 b: the earlier period ends, its alarm is void."""
    story = placed(1)
    due = rfc3339(story.at(50))
    story.end("orders.unshipped", "payment.authorised", "handled", 20.0, 20.1, **timer(story, "armed", 2, due=due))
    story.end("orders.unshipped", "hocket.overdue", "obsolete", 30.2, 30.2, **timer(story, "void"))
    found = only(story)
    assert (found.word(story.at(40)), found.due) == ("armed", story.at(50))
    assert [each.end for each in found.periods] == [story.at(20.1), None]


def test_an_answer_before_the_arming() -> None:
    """RULES 5.7: a mark; the arming that finds it is met at once."""
    assert only(unreached(1)).state == "mark"
    story = unreached(1)
    story.end("orders.unshipped", "order.placed", "handled", 5.0, 5.1, **timer(story, "met", 0))
    assert only(story).state == "met"


@pytest.mark.parametrize("story", [shipped(1), fired(1, late=True), placed(1)])
def test_the_order_of_facts_does_not_matter(story: Story) -> None:
    """RULES 5.7, 7.4: told in any order and twice, it is the same time-out."""
    told = [each for each in story.told if each.timer is not None]
    every = {timeouts_of(story.flow, [*some, told[0]]) for some in itertools.permutations(told)}
    assert len(every) == 1


def test_a_flow_of_which_only_a_timeout_is_armed_waits() -> None:
    """docs/console.md §4: neither done nor running; met or fired it goes on."""
    story = authorised(1)
    story.end("shipping.ship", "payment.authorised", "handled", 0.5, 1.0)
    found = flow_of(story)
    assert (found.state, found.waiting, found.going) == (FlowState.WAITING, (), True)
    assert [each.subscription for each in found.armed] == ["orders.unshipped"]
    assert flow_of(shipped(1)).state is FlowState.DONE
    assert fold(story.flow, story.said, story.told, EXPECTED, story.at(0.05)).state is FlowState.RUNNING


def test_a_cancellation_of_another_flow_meets_it() -> None:
    """RULES 5.7, `across`: both flows know it, and each leads to the other."""
    order = authorised(1)
    cancellation = cancelled_elsewhere(2, order)
    order = undone_by(order, cancellation)
    order.end("shipping.ship", "payment.authorised", "refused", 9.0, 9.1)
    flow = flow_of(order, cancellation)
    [found] = flow.timeouts
    assert found.met_by is not None
    assert (found.word(order.at(99)), found.met_by.flow) == ("met", cancellation.flow)
    assert flow.state is FlowState.COMPENSATED
    assert [each.event.type for each in flow.reached_by] == ["order.cancelled"]
    other = flow_of(cancellation)
    assert other.timeouts == ()
    assert [each.timer and each.timer.flow for each in other.answers_elsewhere] == [order.flow]
    assert other.state is FlowState.DONE


def test_armed_anew_in_another_flow_it_goes_on_there() -> None:
    """RULES 5.7, `across`: the first flow waits for it no longer."""
    first, second = placed(1), placed(2, placed(1).at(10))
    arming = timer(first, "armed", 2, due=rfc3339(second.at(30)), flow=first.flow)
    second.receipts[0].update(arming)
    flow = flow_of(first, second)
    [found] = flow.timeouts
    assert (found.state, found.moved_to, flow.armed) == ("moved", second.flow, ())
    [there] = flow_of(second).timeouts
    assert (there.state, there.due) == ("armed", second.at(30))
    assert found.periods[0].end == second.at(0.1)


def test_nothing_later_than_a_moment_counts() -> None:
    """docs/console.md §6: as of a moment it is still armed."""
    story = shipped(1)
    then = fold(story.flow, story.said, story.told, EXPECTED, story.at(3))
    assert [each.state for each in then.timeouts] == ["armed"]
    assert then.armed[0].due == story.at(0.1) + timedelta(seconds=30)
