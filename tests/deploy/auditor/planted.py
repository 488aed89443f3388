"""Faults that are planted in books that were good, each in one place."""

from tests.deploy.auditor.books import FORGED, SHOPPER, Books, asked, lead_post, letter, order_post, sent, webhook


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
