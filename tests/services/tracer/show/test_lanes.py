"""The lanes of a flow, as they are laid out."""

from datetime import timedelta

import pytest

from hocket.console.facts import BreakerChange, Manifest
from services.tracer.fold.expectations import expectations
from services.tracer.fold.flow import fold
from services.tracer.show.drawing import MAX_DRAWN, ROW, Drawing
from services.tracer.show.lanes import draw
from tests.services.tracer.saga_stories import SHOP, carrier_ill, fired, shipped, waiting_for_carrier
from tests.services.tracer.sample_facts import STEP, Story, expected, happy, mail_dead, placed, rejected


def drawn(story: Story, at: float = 100) -> Drawing:
    """The lanes of a story as they stand so many seconds after its start."""
    now = story.at(at)
    return draw(fold(story.flow, story.said, story.told, expected(), now), now, lambda service: f"team-{service}")


@pytest.mark.parametrize("story", [happy(1), rejected(2), rejected(3, undo="dead"), mail_dead(4), placed(5)])
def test_words_never_overlap(story: Story) -> None:
    """docs/console.md §10.3: in one lane two items that meet stand in different rows."""
    items = drawn(story).items
    for one in items:
        for other in items:
            if one is not other and one.lane == other.lane and abs(one.y - other.y) < ROW:
                assert one.end <= other.x or other.end <= one.x


def test_lanes_stand_in_order_of_their_first_fact() -> None:
    """docs/console.md §10.1: time runs right and mostly down."""
    found = drawn(happy(1))
    assert [each.service for each in found.lanes] == ["orders", "payments", "inventory", "notifications"]
    assert found.lanes[1].owner == "team-payments"
    assert found.lanes[-1].y + found.lanes[-1].height == found.height


def test_a_run_shows_its_attempts_and_its_waiting() -> None:
    """docs/console.md §10.4: a failed attempt, waiting, then success; what it said stands at its end."""
    [charge] = [each for each in drawn(happy(1)).items if each.label == "charge"]
    assert [each.tone for each in charge.bars] == ["failed", "waiting", "handled"]
    assert [each.label for each in charge.points] == ["payment.charged"]
    assert charge.aside == "step, 2 attempts, 2.3 s"
    assert charge.bars[0].title == "attempt 1, retry, 1.0 s: TimeoutError: POST /charges"


@pytest.mark.parametrize(
    ("ledger", "words"),
    [("undone", "undone before"), ("begun", "undone once the step ends"), ("tombstone", "nothing to undo yet")],
)
def test_a_failure_that_orders_no_undo_says_what_it_found(ledger: str, words: str) -> None:
    """A second failure finds a step that was undone before: that is another thing than a step that has not begun."""
    told = rejected(1).end("payments.refund", "order.cancelled", "handled", 13, 13, ledger=ledger, **STEP)
    assert any(each.aside.startswith(words) for each in drawn(told).items)


def test_an_open_run_ends_now() -> None:
    """docs/console.md §10.4: what still waits is drawn up to now, and nothing later than now."""
    found = drawn(happy(1), 1.5)
    [charge] = [each for each in found.items if each.label == "charge"]
    assert [each.tone for each in charge.bars] == ["failed", "waiting"]
    assert found.now_x == pytest.approx(charge.bar_end)
    assert drawn(happy(1)).now_x is None


def test_what_nobody_has_begun_waits() -> None:
    """A declared hearer without an attempt is drawn as waiting since the event was said."""
    [hearer] = [each for each in drawn(placed(1), 5).items if each.delivery]
    assert [each.tone for each in hearer.bars] == ["waiting"]
    assert hearer.aside == "waiting"


def test_arrows_lead_from_what_was_said_to_who_heard_it() -> None:
    """docs/console.md §10.5: one arrow a hearer, from the event's point down or up, then to the run."""
    found = drawn(rejected(1))
    titles = [each.title for each in found.arrows]
    assert titles.count("stock.rejected, said by inventory") == 2
    assert all("H" in each.path for each in found.arrows)


def test_clocks_that_differ_are_shown_as_they_are() -> None:
    """docs/console.md §10.5: handled before said is drawn straight and named; nothing is moved."""
    told = placed(1).end("payments.charge", "order.placed", "handled", -0.04, 0.1)
    [arrow] = drawn(told).arrows
    assert arrow.label == "clocks differ by 40 ms"
    assert "L" in arrow.path


def test_many_hearers_are_one_bracket() -> None:
    """docs/console.md §10.5: more than eight hearers of one event are counted."""
    told = placed(1)
    for at in range(12):
        told.end(f"team{at}.hear", "order.placed", "handled", 0.1, 0.2)
    arrows = drawn(told).arrows
    assert [each.label for each in arrows] == ["13 heard it"]


def test_an_undo_leads_back_to_its_step() -> None:
    """docs/console.md §10.6: the arc is closed once undone and open before; a zombie's step carries its mark."""
    [arc] = drawn(rejected(1)).arcs
    assert arc.closed
    [under_way] = drawn(rejected(1), 5).arcs
    assert not under_way.closed
    lost = drawn(rejected(1, undo="dead"))
    assert [each.label for each in lost.items if each.zombie] == ["charge"]
    assert [each.label for each in lost.items if each.dead] == ["refund"]
    assert not lost.arcs[0].closed


def test_a_huge_flow_is_bounded() -> None:
    """More than what can be drawn is left to the table, and counted."""
    told = placed(1)
    for at in range(MAX_DRAWN + 20):
        told.end(f"a.h{at}", "order.placed", "handled", 0.1, 0.2)
    found = drawn(told)
    assert len(found.items) <= MAX_DRAWN + 1
    assert found.left_out == 21


def test_moments_of_one_second_have_milliseconds() -> None:
    """Two names on the axis are never the same."""
    found = drawn(rejected(1))
    assert found.name_of(found.ticks[0].moment) == "14:05:00.000"
    slow = placed(2).end("payments.charge", "order.placed", "handled", 60, 120)
    assert drawn(slow, 300).name_of(slow.start + timedelta(seconds=60)) == "14:06:00"


def test_a_death_that_was_replayed_stays_drawn() -> None:
    """docs/console.md §10.4: a square at each death, also where a replay was handled later; then it is not dead now."""
    told = mail_dead(1).end("notifications.confirmation", "order.confirmed", "handled", 60, 61, 4, replay="r1")
    [mail] = [each for each in drawn(told).items if each.label == "confirmation"]
    assert (len(mail.deaths), mail.dead) == (1, 0.0)
    assert mail.bars[-1].tone == "handled"


def test_a_run_that_left_no_end_is_drawn() -> None:
    """A redelivered attempt: an earlier run of it died with its process, from when the event was said."""
    told = placed(1).end("payments.charge", "order.placed", "handled", 20, 20.5, redelivered=True)
    [charge] = [each for each in drawn(told).items if each.label == "charge"]
    assert [each.tone for each in charge.bars] == ["lost", "handled"]
    assert "died" in charge.bars[0].title


def test_a_wide_drawing_keeps_its_size() -> None:
    """With hundreds of events it is wider than a page, so that its text stays as large as elsewhere."""
    told = placed(1)
    for number in range(150):
        told.say("inventory", f"part.n{number}", 0.1 + number, "order.placed")
    assert not drawn(told).fits
    assert drawn(happy(1)).fits


def shop_drawn(story: Story, at: float = 100, changes: dict[str, list[BreakerChange]] | None = None) -> Drawing:
    """The lanes of a story of the shop with time-outs."""
    now = story.at(at)
    expect = expectations((each, each.time) for each in map(Manifest.model_validate, SHOP))
    return draw(fold(story.flow, story.said, story.told, expect, now), now, str, changes)


def test_a_timeout_is_one_item_from_its_arming_to_its_end() -> None:
    """docs/console.md §10.7: what armed and what answered it point at it; they are no runs of their own."""
    found = shop_drawn(shipped(1))
    [item] = [each for each in found.items if each.label == "unshipped"]
    assert item.aside == "time-out, met by parcel.shipped at 14:05:04"
    assert [(each.tone, each.title) for each in item.bars] == [("armed", "armed by order.placed, due at 14:05:30")]
    assert [(each.symbol, each.title) for each in item.signs] == [("disc-tick", "met by parcel.shipped")]
    arriving = [each.title for each in found.arrows if f"V{item.y + 28}" in each.path]
    assert arriving == ["order.placed, said by orders", "parcel.shipped, said by shipping"]


def test_an_armed_timeout_is_drawn_up_to_now() -> None:
    """docs/console.md §10.4: nothing is drawn later than now; its words say when it is due."""
    found = shop_drawn(shipped(1), 2.0)
    [item] = [each for each in found.items if each.label == "unshipped"]
    assert item.aside == "time-out, due at 14:05:30"
    assert item.bar_end == pytest.approx(found.now_x)


def test_a_timeout_that_fired_and_a_late_answer_are_marked() -> None:
    """docs/console.md §10.7: where it fired, and what came too late; its handler is a run."""
    found = shop_drawn(fired(1, late=True))
    timeout, run = sorted((each for each in found.items if each.label == "unshipped"), key=lambda each: each.x)
    assert [each.title for each in timeout.signs] == ["parcel.shipped came 15.1 s late", "fired"]
    assert run.aside == "time-out fired, 300 ms"
    assert [each.label for each in run.points] == ["order.cancelled"]


def test_changes_of_a_breaker_stand_where_its_delivery_waited() -> None:
    """docs/console.md §10.8: on the run's own time, with the reason; none before it, none after it."""
    story = waiting_for_carrier(1)
    changes = [BreakerChange.model_validate(each) for each in carrier_ill(story.start, story.at(60))]
    early = changes[0].model_copy(update={"time": story.at(-5)})
    found = shop_drawn(story, 60, {"shipping.ship": [early, *changes]})
    [ship] = [each for each in found.items if each.label == "ship"]
    assert [each.symbol for each in ship.signs][:2] == ["switch-open", "switch-half"]
    assert ship.signs[0].title == (
        "breaker carrier-api open at 14:05:02: 5 failures in a row, the last by ClientResponseError (503)"
    )
    assert found.switched
    assert not shop_drawn(story, 60).switched


@pytest.mark.parametrize("story", [shipped(1), fired(2, late=True), fired(3, undo="dead"), waiting_for_carrier(4)])
def test_words_of_timeouts_never_overlap(story: Story) -> None:
    """docs/console.md §10.3, with time-outs."""
    items = shop_drawn(story).items
    for one in items:
        for other in items:
            if one is not other and one.lane == other.lane and abs(one.y - other.y) < ROW:
                assert one.end <= other.x or other.end <= one.x
