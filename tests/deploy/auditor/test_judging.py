"""The auditor is not blind: each fault, planted in books that were good, is found and named."""

from collections.abc import Callable

import pytest

from deploy.auditor.effects import EFFECTS
from deploy.auditor.finding import Kind
from deploy.auditor.judging import AT_WORK, TOO_LATE, judge
from deploy.auditor.verdict import checks, green, last_line, told
from deploy.demo import posting
from services.orders import handlers
from tests.deploy.auditor import planted
from tests.deploy.auditor.books import (
    FORGED,
    SHOPPER,
    SYSTEMS,
    UNDOES,
    Books,
    asked,
    letter,
    order_post,
)

SMALL: dict[str, int] = {"orders": 6, "leads": 4, "dead_letters": 1}


def test_good_books_balance() -> None:
    """Books in which nothing is wrong give a good verdict, with every number counted."""
    counts, findings = judge(Books().evidence())
    assert findings == []
    assert counts == {
        "orders": 6, "confirmed": 2, "delivered": 1, "cancelled": 4, "open": 0, "authorisations": 5, "voids": 2,
        "captures": 3, "refunds": 1, "reservations": 4, "releases": 2, "parcels": 3, "recalls": 1, "told": 6,
        "declined": 1, "out_of_stock": 1, "timed_out": 1, "customers_cancelled": 1,
        "authorisation_requests_repeated": 0,
        "requests_while_open": 0, "double_charges": 0, "doubled": 0, "zombies": 0, "lost": 0, "unpaid": 0,
        "letters_unexplained": 0, "dead_letters": 1, "replayed": 1, "handled_after_replay": 1, "leads": 4,
        "leads_welcomed": 4, "leads_synced": 4, "leads_viewed": 4, "people": 3, "people_scored": 3, "webhooks": 2,
        "webhooks_doubled": 1, "webhooks_reordered": 1, "webhooks_refused": 1, "viewed": 6, "viewed_otherwise": 0,
        "forged": 0, "outdated": 0,
    }  # fmt: skip
    made = checks(counts, SMALL)
    assert green(made, findings)
    assert told(made, findings)[-1] == "Verdict: the books balance."


def test_one_line_tells_the_counts() -> None:
    """The line for a run without a plan has every count that must be 0, and orders, confirmed and cancelled."""
    books = Books()
    books.line("A", "captured", again="2")
    books.state("B", "placed")
    books.letters.append(letter("L2", "pending", 0))
    counts, _ = judge(books.evidence())
    assert last_line(counts) == (
        "orders 6 confirmed 1 cancelled 4 open 1 lost 2 double charges 1 zombies 0 letters unexplained 1"
    )


PLANTED: list[tuple[Callable[[Books], None], Kind, str]] = [
    (planted.lost_order, Kind.LOST, "order/Z"),
    (planted.unended_order, Kind.OPEN, "order/C"),
    (planted.unended_order, Kind.LOST, "order/C"),
    (planted.half_ended_order, Kind.OPEN, "order/A"),
    (planted.half_ended_order, Kind.LOST, "order/A"),
    (planted.lost_cancellation, Kind.LOST, "order/A"),
    (planted.lost_delivery, Kind.LOST, "order/A"),
    (planted.lost_parcel, Kind.LOST, "order/A"),
    (planted.lost_goods, Kind.LOST, "order/A"),
    (planted.lost_lead, Kind.LOST, "lead/eve@example.com"),
    (planted.lost_welcome, Kind.LOST, "lead/bob@example.com"),
    (planted.untold, Kind.LOST, "order/A"),
    (planted.no_apology, Kind.LOST, "order/D"),
    (planted.nobody_told, Kind.LOST, "order/F"),
    (planted.told_twice, Kind.DOUBLED, "order/F"),
    (planted.confirmed_twice, Kind.DOUBLED, "order/A"),
    (planted.welcomed_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (planted.entered_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (planted.unseen, Kind.LOST, "lead/bob@example.com"),
    (planted.seen_twice, Kind.DOUBLED, f"lead/{SHOPPER}"),
    (planted.unscored, Kind.LOST, f"lead/{SHOPPER}"),
    (planted.scored_by_the_older, Kind.OUTDATED, f"lead/{SHOPPER}"),
    (planted.forged_and_taken, Kind.FORGED, "delivery fay@example.com-1"),
    (planted.forged_and_entered, Kind.FORGED, f"delivery {FORGED}-1"),
    (planted.unviewed, Kind.VIEW, "order/A"),
    (planted.viewed_twice, Kind.VIEW, "order/A"),
    (planted.viewed_in_another_state, Kind.VIEW, "order/B"),
    (planted.viewed_unpaid, Kind.VIEW, "order/A"),
    (planted.viewed_as_held, Kind.VIEW, "order/D"),
    (planted.made_up, Kind.VIEW, "order/Z"),
    (planted.answered_otherwise, Kind.DOUBLED, "order key-A"),
    (planted.answered_badly, Kind.DOUBLED, "order key-A"),
    (planted.never_voided, Kind.ZOMBIE, "order/D"),
    (planted.never_refunded, Kind.ZOMBIE, "order/F"),
    (planted.never_released, Kind.ZOMBIE, "order/E"),
    (planted.never_recalled, Kind.ZOMBIE, "order/F"),
    (planted.refunded_by_another_key, Kind.ZOMBIE, "order/F"),
    (planted.held_for_nobody, Kind.ZOMBIE, "order/Z"),
    (planted.refunded_half, Kind.ZOMBIE, "order/F"),
    (planted.unpaid, Kind.UNPAID, "order/A"),
    (planted.paid_wrongly, Kind.UNPAID, "order/A"),
    (planted.never_captured, Kind.UNPAID, "order/B"),
    (planted.unmended, Kind.LETTER, "letter L2"),
    (planted.handled_by_itself, Kind.LETTER, "letter L2"),
]


def assert_found(books: Books, kind: Kind, name: str) -> None:
    """The verdict is red, and the fault's name stands in what is printed."""
    counts, findings = judge(books.evidence())
    assert (kind, name) in {(each.kind, each.name) for each in findings}
    made = checks(counts, SMALL)
    assert not green(made, findings)
    printed = told(made, findings)
    assert any(name in line for line in printed)
    assert kind in printed[-1]


@pytest.mark.parametrize(("plant", "kind", "name"), PLANTED, ids=lambda each: getattr(each, "__name__", str(each)))
def test_planted_faults_are_named(plant: Callable[[Books], None], kind: Kind, name: str) -> None:
    """Each planted fault turns the verdict red, and its name stands in what is printed."""
    books = Books()
    plant(books)
    assert_found(books, kind, name)


@pytest.mark.parametrize("did", [each.did for each in EFFECTS] + [each.undone for each in EFFECTS])
def test_what_is_done_twice_is_named(did: str) -> None:
    """Each act and each giving back, done a second time for one order under another key, is doubled."""
    books = Books()
    order = "A"
    if did in UNDOES:
        order = "E" if did == "voided" else "F"
    books.line(order, did, again="2")
    assert_found(books, Kind.DOUBLED, f"order/{order}")


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_outside_system_is_watched(system: str) -> None:
    """A system that was asked again right after five failed answers in a row was not left alone."""
    books = Books()
    books.failures(system, range(100, 106))
    line = len(getattr(books, system))
    assert_found(books, Kind.HAMMERED, f"line {line} of the books of {system}")


def test_a_time_out_is_known_by_what_the_customer_reads() -> None:
    """The auditor shares no code with the shop; the words by which it tells a time-out are the shop's."""
    assert TOO_LATE == handlers.TOO_LATE


def test_a_held_card_that_was_captured_holds_nothing() -> None:
    """A returned order's authorisation was used up by its capture: nobody has to void it."""
    books = Books()
    voided = [line["request"]["order_id"] for line in books.cards if line["did"] == "voided"]
    assert "F" not in voided
    assert judge(books.evidence())[1] == []


def test_a_503_is_no_other_answer() -> None:
    """A post that was answered 503 and taken the next time was not doubled."""
    books = Books()
    books.posts.insert(0, order_post("A", status=503))
    assert judge(books.evidence())[1] == []


def test_that_the_first_is_at_work_is_no_other_answer() -> None:
    """A post that met the first one under its key at work, and was taken the next time, was not doubled."""
    books = Books()
    books.posts.insert(1, order_post("A", status=409) | {"answer": {"type": AT_WORK}})
    assert judge(books.evidence())[1] == []
    assert AT_WORK == posting.AT_WORK


def test_a_cancellation_that_was_refused_asks_nothing() -> None:
    """What was answered with an error was not taken, and nobody waits for it."""
    books = Books()
    books.posts.append(asked("cancellation", "A", status=409))
    assert judge(books.evidence())[1] == []


@pytest.mark.parametrize("state", ["obsolete", "discarded"])
def test_letters_that_are_explained_do_not_count(state: str) -> None:
    """A letter whose flow has ended otherwise needs nobody, and one that was discarded has a person's reason."""
    books = Books()
    books.letters.append(letter("L2", state, 0))
    counts, findings = judge(books.evidence())
    assert (counts["dead_letters"], findings) == (1, [])


def test_a_demo_that_was_too_small_is_red() -> None:
    """Balanced books of fewer than 300 orders are no demo."""
    counts, findings = judge(Books().evidence())
    made = checks(counts)
    assert not green(made, findings)
    assert "orders 6 must be at least 300" in told(made, findings)[-1]
