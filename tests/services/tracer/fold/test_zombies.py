"""RULES 5.8 in the tracer: undos that are late, failed flows without a zombie, failures of other flows."""

from dataclasses import replace
from typing import Any

from hocket.console.facts import Receipt
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.flow import Flow, FlowState, fold
from services.tracer.show.needs import needs_of
from services.tracer.show.sentences import plain, where_is
from tests.services.tracer.sample_facts import STEP, Story, expected, folded, known, placed, rejected, uuid

BUDGETS = {"payments.refund": 60.0}


def at(story: Story, seconds: float, **more: Any) -> Flow:
    """A story's flow as it is read at this second."""
    beyond = Beyond(budgets=BUDGETS, now=story.at(seconds), **more)
    return fold(story.flow, story.said, story.told, expected(), beyond=beyond)


def charged(number: int) -> Story:
    """An order whose charge is done."""
    told = placed(number).say("payments", "payment.charged", 0.4, "order.placed")
    step = {"ledger": "done", "run": "r", **STEP}
    told.end("payments.charge", "order.placed", "handled", 0.05, 0.4, 1, "payment.charged", **step)
    return told.end("inventory.reserve", "payment.charged", "handled", 0.45, 0.9)


def cancellation(of: Story, reached: object) -> Receipt:
    """The receipt of a failure of another flow at the undo of the charge."""
    other = Story(of.number + 50).say("desk", "stock.rejected", 5)
    [found] = other.end(
        "payments.refund", "stock.rejected", "handled", 5, 5.1, 1, "hocket.undo", ledger="undoing", run="r",
        reached=reached, **STEP,
    ).told  # fmt: skip
    return found


def test_an_undo_that_is_open_beyond_its_retry_budget_is_a_zombie() -> None:
    """RULES 5.8: until then the flow is under way; once it is handled it is compensated."""
    story = rejected(1).until(5.0)
    early, late = at(story, 30), at(story, 90)
    assert (early.state, early.turns) == (FlowState.RUNNING, story.at(60.98))
    assert (late.state, [each.name for each in late.zombies]) == (FlowState.ZOMBIE, ["payments.charge"])
    said = plain(where_is(late.subject, late, story.at(90)))
    assert "payments.charge is not undone (payments.refund is open since 14:05:00" in said
    assert "longer than all its attempts take)" in said
    assert at(rejected(1), 90).state is FlowState.COMPENSATED


def test_a_failure_that_waits_too_long_at_the_undo_is_a_zombie() -> None:
    """RULES 5.8: the service of the undo is away, the effect stands, and a failure has come to it."""
    story = rejected(1).until(0.95)
    assert at(story, 30).state is FlowState.RUNNING
    assert at(story, 90).state is FlowState.ZOMBIE


def test_a_replay_gives_an_undo_a_fresh_budget() -> None:
    """RULES 5.8: while it is dead it is a zombie, after its replay it is not, however old it is."""
    story = rejected(1, undo="dead")
    assert at(story, 500).state is FlowState.ZOMBIE
    words = {"next_at": 520.0, "ledger": "undoing", "replay": "r", **STEP}
    story.end("payments.refund", "hocket.undo", "retry", 505, 506, 3, **words)
    assert at(story, 510).state is FlowState.RUNNING
    assert at(story, 570).state is FlowState.ZOMBIE
    story.end("payments.refund", "hocket.undo", "handled", 520, 521, 4, ledger="undone", replay="r", **STEP)
    assert at(story, 600).state is FlowState.COMPENSATED


def test_a_failed_flow_without_an_effect_is_failed() -> None:
    """RULES 5.8: a failure reached a step that had done nothing: nobody is asked for anything."""
    story = placed(1).say("inventory", "stock.rejected", 0.2)
    story.end("payments.charge", "order.placed", "handled", 0.05, 0.4, ledger="void", **STEP)
    story.end("payments.refund", "stock.rejected", "handled", 0.5, 0.6, ledger="void", reached=[story.flow], **STEP)
    story.end("orders.cancel", "stock.rejected", "handled", 0.5, 0.6)
    flow = folded(story)
    assert (flow.state, flow.failed, flow.zombies) == (FlowState.FAILED, True, ())
    assert "its flow failed, and nothing of it had to be undone" in plain(where_is("It", flow, story.at(9)))


def test_a_failure_that_found_no_run_has_failed_nothing() -> None:
    """RULES 5.3, 5.8: a tombstone alone reached nobody, and the flow says so."""
    story = Story(1).say("inventory", "stock.rejected", 0)
    story.end("payments.refund", "stock.rejected", "handled", 0.5, 0.6, ledger="tombstone", reached="none", **STEP)
    story.end("orders.cancel", "stock.rejected", "handled", 0.5, 0.6)
    flow = folded(story)
    assert (flow.state, flow.failed) == (FlowState.DONE, False)
    assert [each.reached for each in flow.reached] == ["none"]


def test_a_failure_of_another_flow_undoes_the_step_here() -> None:
    """RULES 5.3: the step's flow is under way until its undo was handled, and it names the failure."""
    story = charged(1)
    failure = cancellation(story, [story.flow])
    flow = at(story, 10, reached_by=[failure])
    assert (flow.state, flow.failed) == (FlowState.RUNNING, True)
    assert [(each.name, each.ledger) for each in flow.steps] == [("payments.charge", "undoing")]
    assert [each.correlationid for each in flow.reached_by] == [uuid(51000)]
    assert at(story, 90, reached_by=[failure]).state is FlowState.ZOMBIE
    story.ids["hocket.undo"] = failure.said[0]
    story.end("payments.refund", "hocket.undo", "handled", 20, 21, ledger="undone", run="r", **STEP)
    assert at(story, 90, reached_by=[failure]).state is FlowState.COMPENSATED
    assert at(story, 90, reached_by=[failure, failure]) == replace(at(story, 90, reached_by=[failure]))


def test_the_flow_of_that_failure_has_no_step_of_its_own() -> None:
    """RULES 5.3: what it undid belongs to the other flow, and no event is still to come here."""
    story = charged(1)
    failure = cancellation(story, [story.flow])
    other = Story(51).say("desk", "stock.rejected", 5)
    other.end("orders.cancel", "stock.rejected", "handled", 5, 5.2)
    flow = fold(other.flow, other.said, [failure, *other.told], expected())
    assert (flow.state, flow.steps, flow.coming) == (FlowState.DONE, (), frozenset())
    assert [each.flows_reached for each in flow.reached] == [(story.flow,)]


def test_a_copy_of_that_failure_orders_nothing_in_its_own_flow() -> None:
    """RULES 5.3: a refused copy tells what the first delivery said, and not again which flows that reached."""
    story = charged(1)
    failure = cancellation(story, [story.flow])
    copied = {"outcome": "duplicate", "first": "handled", "reached": (), "ledger": "", "time": story.at(6)}
    copy = failure.model_copy(update={**copied, "began": story.at(6), "ended": story.at(6)})
    other = Story(51).say("desk", "stock.rejected", 5)
    other.end("orders.cancel", "stock.rejected", "handled", 5, 5.2)
    for receipts in ([failure, copy, *other.told], [copy, *other.told, failure]):
        flow = fold(other.flow, other.said, receipts, expected())
        assert (flow.state, flow.steps, flow.coming) == (FlowState.DONE, (), frozenset())
        assert [each.outcome for each in flow.reached] == ["handled"]


def test_a_zombie_stands_with_its_owner() -> None:
    """RULES 5.8: who mends it is the owner of the step."""
    story = rejected(1, undo="dead")
    [need] = needs_of([folded(story)], known(), story.at(100))
    assert (need.state, need.owner) == ("zombie", "team-money")
