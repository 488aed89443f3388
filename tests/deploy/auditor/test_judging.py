"""The auditor is not blind: each fault, planted in books that were good, is found and named."""

from collections.abc import Callable

import pytest

from deploy.auditor.judging import Kind, judge
from deploy.auditor.verdict import checks, green, told
from tests.deploy.auditor.books import Books, lead_post, letter, mail, order_post, stock_line

SMALL: dict[str, int] = {"orders": 4, "leads": 2, "dead_letters": 1}


def test_good_books_balance() -> None:
    """Books in which nothing is wrong give a good verdict, with every number counted."""
    counts, findings = judge(Books().evidence())
    assert findings == []
    assert counts == {
        "orders": 4, "confirmed": 2, "cancelled": 2, "open": 0, "charges": 3, "refunds": 1, "mails": 2, "declined": 1,
        "out_of_stock": 1, "charge_requests_repeated": 0, "requests_while_open": 0, "double_charges": 0, "doubled": 0,
        "zombies": 0, "lost": 0, "dead_letters": 1, "replayed": 1, "handled_after_replay": 1, "leads": 2,
        "leads_welcomed": 2, "leads_synced": 2,
    }  # fmt: skip
    made = checks(counts, SMALL)
    assert green(made, findings)
    assert told(made, findings)[-1] == "Verdict: the books balance."


def lost_order(books: Books) -> None:
    """An order was taken, and GET /orders does not know it."""
    books.posts.append(order_post("E"))


def unended_order(books: Books) -> None:
    """An order was taken and is still placed."""
    books.orders[2]["state"] = "placed"


def lost_lead(books: Books) -> None:
    """A lead was taken, and nobody entered or welcomed it."""
    books.posts.append(lead_post("eve@example.com"))


def lost_welcome(books: Books) -> None:
    """A lead was entered and not welcomed."""
    books.mails.pop()


def untold(books: Books) -> None:
    """A confirmed order's mail never came."""
    books.mails.pop(0)


def charged_twice(books: Books) -> None:
    """One order has two charges."""
    books.card("A", "charged")


def refunded_twice(books: Books) -> None:
    """One order has two refunds."""
    books.card("D", "refunded", api="cards/refunds", status=200)


def confirmed_twice(books: Books) -> None:
    """One order has two confirmations."""
    books.mails.append(mail("confirmation", "A@example.com", "order/A"))


def welcomed_twice(books: Books) -> None:
    """One lead has two welcomes."""
    books.mails.append(mail("welcome", "ada@example.com", "lead/ada@example.com"))


def entered_twice(books: Books) -> None:
    """One lead stands twice at the CRM."""
    books.crm.append(books.crm[0])


def answered_otherwise(books: Books) -> None:
    """The same key again was answered with another order."""
    books.posts.append(order_post("A", order_id="Z"))
    books.orders.append({"order_id": "Z", "state": "cancelled"})


def answered_badly(books: Books) -> None:
    """The same key again was answered with an error."""
    books.posts.append(order_post("A", status=500))


def never_refunded(books: Books) -> None:
    """An order was cancelled for want of stock, and its charge stays."""
    books.cards[:] = [line for line in books.cards if line["did"] != "refunded"]


def goods_held(books: Books) -> None:
    """A cancelled order still holds goods."""
    books.stock.append(stock_line("C", "reserved"))


def unpaid(books: Books) -> None:
    """An order is confirmed and its charge was given back."""
    books.card("A", "refunded", api="cards/refunds", status=200)


def unmended(books: Books) -> None:
    """A dead letter waits for a person."""
    books.letters.append(letter("L2", "pending", 0))


def handled_by_itself(books: Books) -> None:
    """A dead letter was settled without a replay."""
    books.letters.append(letter("L2", "handled", 0))


def hammered(books: Books) -> None:
    """The cards were asked again right after five failed answers in a row."""
    for second in range(100, 106):
        books.card("C", "none", status=500, at=second)


PLANTED: list[tuple[Callable[[Books], None], Kind, str]] = [
    (lost_order, Kind.LOST, "order/E"),
    (unended_order, Kind.OPEN, "order/C"),
    (unended_order, Kind.LOST, "order/C"),
    (lost_lead, Kind.LOST, "lead/eve@example.com"),
    (lost_welcome, Kind.LOST, "lead/bob@example.com"),
    (untold, Kind.LOST, "order/A"),
    (charged_twice, Kind.DOUBLED, "order/A"),
    (refunded_twice, Kind.DOUBLED, "order/D"),
    (confirmed_twice, Kind.DOUBLED, "order/A"),
    (welcomed_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (entered_twice, Kind.DOUBLED, "lead/ada@example.com"),
    (answered_otherwise, Kind.DOUBLED, "order key-A"),
    (answered_badly, Kind.DOUBLED, "order key-A"),
    (never_refunded, Kind.ZOMBIE, "order/D"),
    (goods_held, Kind.ZOMBIE, "order/C"),
    (unpaid, Kind.UNPAID, "order/A"),
    (unmended, Kind.LETTER, "letter L2"),
    (handled_by_itself, Kind.LETTER, "letter L2"),
    (hammered, Kind.HAMMERED, "line 11 of the cards' books"),
]


@pytest.mark.parametrize(("plant", "kind", "name"), PLANTED, ids=lambda each: getattr(each, "__name__", str(each)))
def test_planted_faults_are_named(plant: Callable[[Books], None], kind: Kind, name: str) -> None:
    """Each planted fault turns the verdict red, and its name stands in what is printed."""
    books = Books()
    plant(books)
    counts, findings = judge(books.evidence())
    assert (kind, name) in {(each.kind, each.name) for each in findings}
    made = checks(counts, SMALL)
    assert not green(made, findings)
    printed = told(made, findings)
    assert any(name in line for line in printed)
    assert kind in printed[-1]


def test_a_503_is_no_other_answer() -> None:
    """A post that was answered 503 and taken the next time was not doubled."""
    books = Books()
    books.posts.insert(0, order_post("A", status=503))
    assert judge(books.evidence())[1] == []


def test_letters_that_are_obsolete_do_not_count() -> None:
    """A letter whose flow has ended otherwise needs nobody."""
    books = Books()
    books.letters.append(letter("L2", "obsolete", 0))
    counts, findings = judge(books.evidence())
    assert (counts["dead_letters"], findings) == (1, [])


def test_a_demo_that_was_too_small_is_red() -> None:
    """Balanced books of fewer than 300 orders are no demo."""
    counts, findings = judge(Books().evidence())
    made = checks(counts)
    assert not green(made, findings)
    assert "orders 4 must be at least 300" in told(made, findings)[-1]
