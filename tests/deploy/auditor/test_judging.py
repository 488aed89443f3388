"""The auditor is not blind: each fault, planted in books that were good, is found and named."""

from collections.abc import Callable

import pytest

from deploy.auditor.effects import EFFECTS
from deploy.auditor.finding import Kind
from deploy.auditor.judging import AT_WORK, TOO_LATE, judge
from deploy.auditor.verdict import checks, green, last_line, told
from deploy.demo import posting
from services.orders import handlers
from tests.deploy.auditor.books import (
    FORGED,
    SHOPPER,
    SYSTEMS,
    UNDOES,
    Books,
    asked,
    lead_post,
    letter,
    order_post,
    sent,
    webhook,
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


def lost_order(books: Books) -> None:
    """An order was taken, and GET /orders does not know it."""
    books.posts.append(order_post("Z"))


def unended_order(books: Books) -> None:
    """An order was taken and is still placed."""
    books.state("C", "placed")


def half_ended_order(books: Books) -> None:
    """An order was taken and is confirmed, but no parcel was ever sent."""
    books.state("A", "confirmed")


def lost_cancellation(books: Books) -> None:
    """A customer's cancellation was taken, and the order is on its way all the same."""
    books.posts.append(asked("cancellation", "A"))


def lost_delivery(books: Books) -> None:
    """The carrier's word was taken, and the order does not know it."""
    books.posts.append(asked("delivery", "A"))


def lost_parcel(books: Books) -> None:
    """An order is shipped, and the carrier has no parcel of it."""
    books.without("carrier", "booked", "A")


def lost_goods(books: Books) -> None:
    """An order is shipped, and the shop system holds no goods for it."""
    books.line("A", "released", status=200)


def lost_lead(books: Books) -> None:
    """A lead was taken, and nobody entered or welcomed it."""
    books.posts.append(lead_post("eve@example.com"))


def lost_welcome(books: Books) -> None:
    """A lead was entered and not welcomed."""
    books.mails.remove(sent("welcome", "lead/bob@example.com", "bob@example.com", "key-bob@example.com"))


def untold(books: Books) -> None:
    """A shipped order's confirmation never came."""
    books.mails.pop(0)


def no_apology(books: Books) -> None:
    """A cancelled order's apology never came."""
    books.mails.remove(sent("apology", "order/D"))


def nobody_told(books: Books) -> None:
    """The customer who cancelled never heard that it was done."""
    books.mails.remove(sent("cancellation", "order/F"))


def told_twice(books: Books) -> None:
    """The customer who cancelled heard of it twice."""
    books.mails.append(sent("cancellation", "order/F"))


def confirmed_twice(books: Books) -> None:
    """One order has two confirmations."""
    books.mails.append(sent("confirmation", "order/A"))


def welcomed_twice(books: Books) -> None:
    """One lead has two welcomes."""
    books.mails.append(sent("welcome", "lead/ada@example.com", "ada@example.com", "key-ada@example.com"))


def entered_twice(books: Books) -> None:
    """One lead stands twice at the CRM."""
    books.entered("ada@example.com", "key-ada@example.com")


def unseen(books: Books) -> None:
    """One lead is in no customer's history."""
    books.lines.remove({"type": "lead.captured", "delivery": "key-bob@example.com"})


def seen_twice(books: Books) -> None:
    """One webhook stands twice in a history, as one does that was said twice."""
    books.seen(f"{SHOPPER}-1")


def unscored(books: Books) -> None:
    """A person has no score."""
    books.scores.pop()


def scored_by_the_older(books: Books) -> None:
    """The score of a person is by the edition that came last, and is older than the one before."""
    books.scores.pop()
    books.scored(SHOPPER, f"{SHOPPER}-1")


def forged_and_taken(books: Books) -> None:
    """What nobody signed was answered as if somebody had."""
    books.posts.append(webhook("fay@example.com", 1, signed="unknown"))
    books.arrived("fay@example.com", "fay@example.com-1")
    books.scored("fay@example.com", "fay@example.com-1")


def forged_and_entered(books: Books) -> None:
    """What nobody signed was refused, and the CRM has it."""
    books.entered(FORGED, f"{FORGED}-1")


def unviewed(books: Books) -> None:
    """An order is missing in the view."""
    books.viewed.pop(0)


def viewed_twice(books: Books) -> None:
    """The view lists an order twice."""
    books.viewed.append(books.viewed[0])


def viewed_in_another_state(books: Books) -> None:
    """The view is behind for good."""
    books.view("B", state="shipped")


def viewed_unpaid(books: Books) -> None:
    """The view never heard that an order is paid."""
    books.view("A", payment="authorised")


def viewed_as_held(books: Books) -> None:
    """The view shows money of a cancelled order as held."""
    books.view("D", payment="authorised")


def made_up(books: Books) -> None:
    """The view shows an order that nobody placed."""
    books.viewed.append({**books.viewed[0], "order_id": "Z"})


def answered_otherwise(books: Books) -> None:
    """The same key again was answered with another order."""
    books.posts.append(order_post("A", order_id="Z"))
    books.orders.append({"order_id": "Z", "state": "cancelled", "total_cents": 1, "reason": ""})


def answered_badly(books: Books) -> None:
    """The same key again was answered with an error."""
    books.posts.append(order_post("A", status=500))


def never_voided(books: Books) -> None:
    """An order was cancelled for want of stock, and its card is still held."""
    books.without("cards", "voided", "D")


def never_refunded(books: Books) -> None:
    """A returned order's money was never given back."""
    books.without("cards", "refunded", "F")


def never_released(books: Books) -> None:
    """A cancelled order still holds goods."""
    books.without("stock", "released", "E")


def never_recalled(books: Books) -> None:
    """A cancelled order's parcel is still on its way."""
    books.without("carrier", "recalled", "F")


def refunded_by_another_key(books: Books) -> None:
    """What was given back is not what was captured: the second capture of a cancelled order stands."""
    books.line("F", "captured", again="2")


def held_for_nobody(books: Books) -> None:
    """A card is held for an order that the shop does not know."""
    books.line("Z", "authorised")


def refunded_half(books: Books) -> None:
    """Less was given back than was captured."""
    books.without("cards", "refunded", "F")
    books.line("F", "refunded", status=200, cents=400)


def unpaid(books: Books) -> None:
    """An order is shipped and its capture was given back."""
    books.line("A", "refunded", status=200)


def paid_wrongly(books: Books) -> None:
    """More was captured than was ordered."""
    books.without("cards", "captured", "A")
    books.line("A", "captured", cents=1001)


def never_captured(books: Books) -> None:
    """An order is delivered and its card was only ever held."""
    books.without("cards", "captured", "B")


def unmended(books: Books) -> None:
    """A dead letter waits for a person."""
    books.letters.append(letter("L2", "pending", 0))


def handled_by_itself(books: Books) -> None:
    """A dead letter was settled without a replay."""
    books.letters.append(letter("L2", "handled", 0))


PLANTED: list[tuple[Callable[[Books], None], Kind, str]] = [
    (lost_order, Kind.LOST, "order/Z"),
    (unended_order, Kind.OPEN, "order/C"),
    (unended_order, Kind.LOST, "order/C"),
    (half_ended_order, Kind.OPEN, "order/A"),
    (half_ended_order, Kind.LOST, "order/A"),
    (lost_cancellation, Kind.LOST, "order/A"),
    (lost_delivery, Kind.LOST, "order/A"),
    (lost_parcel, Kind.LOST, "order/A"),
    (lost_goods, Kind.LOST, "order/A"),
    (lost_lead, Kind.LOST, "lead/eve@example.com"),
    (lost_welcome, Kind.LOST, "lead/bob@example.com"),
    (untold, Kind.LOST, "order/A"),
    (no_apology, Kind.LOST, "order/D"),
    (nobody_told, Kind.LOST, "order/F"),
    (told_twice, Kind.DOUBLED, "order/F"),
    (confirmed_twice, Kind.DOUBLED, "order/A"),
    (welcomed_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (entered_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (unseen, Kind.LOST, "lead/bob@example.com"),
    (seen_twice, Kind.DOUBLED, f"lead/{SHOPPER}"),
    (unscored, Kind.LOST, f"lead/{SHOPPER}"),
    (scored_by_the_older, Kind.OUTDATED, f"lead/{SHOPPER}"),
    (forged_and_taken, Kind.FORGED, "delivery fay@example.com-1"),
    (forged_and_entered, Kind.FORGED, f"delivery {FORGED}-1"),
    (unviewed, Kind.VIEW, "order/A"),
    (viewed_twice, Kind.VIEW, "order/A"),
    (viewed_in_another_state, Kind.VIEW, "order/B"),
    (viewed_unpaid, Kind.VIEW, "order/A"),
    (viewed_as_held, Kind.VIEW, "order/D"),
    (made_up, Kind.VIEW, "order/Z"),
    (answered_otherwise, Kind.DOUBLED, "order key-A"),
    (answered_badly, Kind.DOUBLED, "order key-A"),
    (never_voided, Kind.ZOMBIE, "order/D"),
    (never_refunded, Kind.ZOMBIE, "order/F"),
    (never_released, Kind.ZOMBIE, "order/E"),
    (never_recalled, Kind.ZOMBIE, "order/F"),
    (refunded_by_another_key, Kind.ZOMBIE, "order/F"),
    (held_for_nobody, Kind.ZOMBIE, "order/Z"),
    (refunded_half, Kind.ZOMBIE, "order/F"),
    (unpaid, Kind.UNPAID, "order/A"),
    (paid_wrongly, Kind.UNPAID, "order/A"),
    (never_captured, Kind.UNPAID, "order/B"),
    (unmended, Kind.LETTER, "letter L2"),
    (handled_by_itself, Kind.LETTER, "letter L2"),
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
