"""The fold: the state of a flow is a function of the set of its facts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tracer.fold.deliveries import Stand
from services.tracer.fold.expectations import Expectation
from services.tracer.fold.flow import FlowState, fold
from services.tracer.show.sentences import plain, where_is
from tests.services.tracer.sample_facts import STEP, Story, expected, folded, happy, mail_dead, placed, rejected


def zombie(number: int) -> Story:
    """A charge whose undo died."""
    return rejected(number, undo="dead")


@pytest.mark.parametrize("story", [happy, rejected, mail_dead, zombie, placed])
@settings(deadline=None)
@given(data=st.data())
def test_any_order_and_any_double_give_the_same_state(story: Callable[[int], Story], data: st.DataObject) -> None:
    """RULES 7.4: state is a function of the set of facts, whatever their order and however often they come."""
    told = story(1)
    whole = folded(told)
    facts = st.permutations(told.said), st.lists(st.sampled_from(told.said), max_size=3)
    said = [*data.draw(facts[0]), *data.draw(facts[1])]
    receipts = data.draw(st.permutations(told.told)) if told.told else []
    doubled = data.draw(st.lists(st.sampled_from(told.told), max_size=4)) if told.told else []
    assert fold(told.flow, said, [*doubled, *receipts], expected()) == whole


@settings(deadline=None)
@given(seconds=st.floats(min_value=-1, max_value=40))
def test_the_state_at_a_moment_is_that_of_the_facts_until_then(seconds: float) -> None:
    """RULES 7.4: time as of is fact time; what came later changes nothing at an earlier moment."""
    for told in (happy(1), zombie(2), mail_dead(3)):
        then = fold(told.flow, told.said, told.told, expected(), told.at(seconds))
        cut = told.until(seconds)
        assert then == fold(cut.flow, cut.said, cut.told, expected())


def test_an_order_whose_every_hearer_is_through_is_done() -> None:
    """A flow is done when every subscription declared to hear its events has handled them."""
    flow = folded(happy(1))
    assert flow.state is FlowState.DONE
    assert {each.stand for each in flow.deliveries} == {Stand.HANDLED}
    assert len(flow.deliveries) == 4
    assert not flow.unheard


def test_an_event_runs_until_its_hearers_are_through() -> None:
    """What is expected from manifests is under way before its first receipt."""
    flow = folded(placed(1))
    assert flow.state is FlowState.RUNNING
    [waiting] = flow.waiting
    assert (waiting.subscription, waiting.stand) == ("payments.charge", Stand.EXPECTED)


def test_a_failed_attempt_waits() -> None:
    """A flow whose every open delivery waits for its time is waiting."""
    flow = folded(happy(1).until(1.5))
    assert flow.state is FlowState.WAITING
    assert flow.waiting[0].stand is Stand.RETRY
    assert [each.outcome for each in flow.waiting[0].receipts] == ["retry"]


def test_a_breaker_defers() -> None:
    """A deferred attempt waits and is overtaken by the attempt of the same number."""
    told = placed(1).end("payments.charge", "order.placed", "deferred", 0.1, 0.2, next_at=5.0, cause="breaker")
    assert folded(told).waiting[0].stand is Stand.DEFERRED
    told.end("payments.charge", "order.placed", "handled", 5.0, 5.2)
    assert folded(told).state is FlowState.DONE


def test_an_undone_charge_is_compensated() -> None:
    """A flow whose failure was heard and whose step was undone is compensated."""
    flow = folded(rejected(1))
    assert flow.state is FlowState.COMPENSATED
    assert [(each.name, each.ledger) for each in flow.steps] == [("payments.charge", "undone")]
    assert [each.stand for each in flow.deliveries if each.undo_of] == [Stand.UNDONE]


def test_an_undo_under_way_is_no_zombie() -> None:
    """RULES 5.4: between the failure and the end of the undo the flow is under way."""
    flow = folded(rejected(1).until(5.0))
    assert flow.state is FlowState.RUNNING
    assert flow.waiting[-1].stand is Stand.UNDOING
    assert folded(rejected(1).until(0.97)).state is FlowState.RUNNING


def test_a_dead_undo_leaves_a_zombie() -> None:
    """RULES 5.4: an undo that died leaves an effect that must not stand."""
    flow = folded(zombie(1))
    assert flow.state is FlowState.ZOMBIE
    assert [each.name for each in flow.zombies] == ["payments.charge"]


def test_a_replayed_undo_ends_the_zombie() -> None:
    """RULES 5.4: a zombie until its letter is replayed."""
    told = zombie(1)
    told.end("payments.refund", "hocket.undo", "handled", 60, 61, 3, ledger="undone", replay="r1", **STEP)
    assert folded(told).state is FlowState.COMPENSATED


def test_a_step_given_up_without_a_failure_is_an_open_letter() -> None:
    """RULES 5.8: a buried step may have happened, but no failure reached it: somebody's work, no zombie."""
    told = placed(1).end("payments.charge", "order.placed", "dead", 0.1, 0.2, 5, ledger="unsure", **STEP)
    flow = folded(told)
    assert flow.state is FlowState.OPEN_LETTER
    assert flow.zombies == ()


def test_a_dead_leaf_makes_no_zombie_of_its_neighbours() -> None:
    """RULES 5.8: an order that was paid and delivered stays so, whatever step of a leaf was given up."""
    told = happy(1)
    told.receipts.pop()
    told.end(
        "notifications.confirmation", "order.confirmed", "dead", 3.0, 3.2, 5, cause="MailDown", error="MailDown: 500",
        ledger="unsure", step="notifications.confirmation",
    )  # fmt: skip
    flow = folded(told)
    assert flow.state is FlowState.OPEN_LETTER
    assert [each.subscription for each in flow.dead] == ["notifications.confirmation"]


def test_a_step_given_up_with_a_word_is_being_undone() -> None:
    """RULES 5.5: `on_dead` spoke and the same burial began the undo, whose envelope the log never shows."""
    told = placed(1).say("payments", "payment.declined", 0.2, "order.placed")
    told.end("payments.charge", "order.placed", "dead", 0.1, 0.2, 5, "payment.declined", ledger="undoing", **STEP)
    told.end("orders.cancel", "payment.declined", "handled", 0.3, 0.4)
    flow = folded(told)
    assert flow.state is FlowState.RUNNING
    assert not flow.dead
    told.end("payments.refund", "hocket.undo", "handled", 1, 2, ledger="undone", **STEP)
    assert folded(told).state is FlowState.COMPENSATED


def test_a_failure_that_nobody_undid_leaves_a_zombie() -> None:
    """RULES 5.8: a step that is done, whose undo heard the failure and began nothing, stands."""
    told = rejected(1).until(0.95)
    told.end("orders.cancel", "stock.rejected", "handled", 0.95, 1.1)
    told.end("payments.refund", "stock.rejected", "dead", 0.96, 0.98, 1, ledger="done", **STEP)
    assert folded(told).state is FlowState.ZOMBIE


def test_a_dead_letter_fails_the_flow_until_it_is_replayed() -> None:
    """RULES 8.2: a later handled receipt settles what was dead."""
    told = mail_dead(1)
    flow = folded(told)
    assert flow.state is FlowState.OPEN_LETTER
    assert [each.subscription for each in flow.dead] == ["notifications.confirmation"]
    told.end("notifications.confirmation", "order.confirmed", "handled", 90, 91, 4, replay="r1")
    assert folded(told).state is FlowState.DONE


def test_an_obsolete_replay_settles_what_was_dead() -> None:
    """RULES 5.6: a replay that ends obsolete asks nobody for anything any more."""
    told = mail_dead(1).end("notifications.confirmation", "order.confirmed", "obsolete", 90, 91, 4, replay="r1")
    flow = folded(told)
    assert flow.state is FlowState.DONE
    assert Stand.OBSOLETE in {each.stand for each in flow.deliveries}


def test_a_duplicate_never_hides_what_happened() -> None:
    """A copy that came late says nothing about the delivery; alone it says that it was handled."""
    told = happy(1).end("orders.confirm", "stock.reserved", "duplicate", 50, 50.1, 2)
    assert folded(told).state is FlowState.DONE
    [confirm] = [each for each in folded(told).deliveries if each.subscription == "orders.confirm"]
    assert confirm.took == pytest.approx(0.1)
    alone = placed(2).end("payments.charge", "order.placed", "duplicate", 1, 1.1, first="handled")
    assert folded(alone).deliveries[0].stand is Stand.DUPLICATE


def test_an_event_of_a_receipt_is_awaited_in_the_log() -> None:
    """An event that a receipt says was said, and the log has not shown, keeps its flow under way."""
    told = placed(1).end("payments.charge", "order.placed", "handled", 0.1, 0.2, 1, "payment.charged")
    flow = folded(told)
    assert flow.coming == {told.id("payment.charged")}
    assert flow.state is FlowState.RUNNING


def test_nobody_is_expected_before_a_first_manifest() -> None:
    """RULES 7.6: expectations are judged as of the event's time."""
    told = placed(1)
    later = {("order.placed", 1): (Expectation("late.hearer", told.at(0) + timedelta(seconds=1)),)}
    flow = fold(told.flow, told.said, told.told, later)
    assert flow.deliveries == ()
    assert flow.unheard == {told.id("order.placed")}
    assert flow.state is FlowState.DONE


def test_a_flow_without_a_fact_is_nothing() -> None:
    """An empty set of facts has no subject, no begin and no end."""
    flow = fold("f", (), (), expected())
    assert (flow.subject, flow.type, flow.began, flow.ended) == ("", "", None, None)


def test_the_answer_never_fails() -> None:
    """Every prefix of every story has a sentence."""
    for told in (happy(1), rejected(2), zombie(3), mail_dead(4)):
        for tenth in range(400):
            cut = told.until(tenth / 10)
            assert plain(where_is(cut.subject, folded(cut), cut.at(tenth / 10)))


def test_a_discarded_letter_is_settled() -> None:
    """RULES 8.2: an operator's act is a fact: nothing waits for a person any more, and the flow says who settled it."""
    told = mail_dead(1).end(
        "notifications.confirmation", "order.confirmed", "discarded", 90, 90, 3, by="mia", reason="old"
    )
    flow = folded(told)
    assert flow.state is FlowState.DISCARDED
    assert flow.dead == ()
    assert "notifications.confirmation was discarded by mia: old" in plain(where_is("order/1", flow, told.at(100)))
    told.end("notifications.confirmation", "order.confirmed", "dead", 95, 96, 8, error="MailDown: again")
    assert folded(told).state is FlowState.OPEN_LETTER


def test_a_discarded_undo_leaves_no_zombie() -> None:
    """RULES 5.8: whoever discards the letter of an undo has decided about the effect; its receipt names no step."""
    told = zombie(1).end("payments.refund", "hocket.undo", "discarded", 90, 90, 2, by="mia", reason="paid by hand")
    flow = folded(told)
    assert (flow.state, flow.zombies) == (FlowState.DISCARDED, ())


def test_a_refused_copy_takes_no_time_and_is_no_attempt() -> None:
    """A copy that came a minute later and was refused makes the flow neither longer nor its attempts more."""
    told = happy(1)
    before = folded(told)
    told.end("orders.confirm", "stock.reserved", "duplicate", 62, 62.1, 2, first="handled")
    after = folded(told)
    assert (after.ended, after.attempts) == (before.ended, before.attempts) == (told.at(3.2), 5)


def test_receipts_that_differ_in_words_alone_are_told_apart_in_any_order() -> None:
    """RULES 7.4: of two receipts with one identity and one time the same one is kept, whichever was read first."""
    story = Story(9)
    story.say("orders", "order.placed", 0)
    story.end("payments.charge", "order.placed", "retry", 0.1, 0.2, error="TimeoutError: b")
    first = story.told[0]
    other = first.model_copy(update={"error": "TimeoutError: a"})
    assert fold(story.flow, story.said, [first, other], expected()) == fold(
        story.flow, story.said, [other, first], expected()
    )
