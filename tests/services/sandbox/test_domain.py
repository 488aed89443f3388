"""The outside world, pure: one key acts at most once, and what is given back is given back once and for all."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.domain import Api, Asked, Did, Entry, Verdict, decide

CHARGE = {"order_id": "A1", "card": "tok", "total_cents": 999}
UNDO = {"order_id": "A1", "original": "k1"}
ACTS = [
    (Api.CHARGES, CHARGE, Did.CHARGED),
    (Api.RESERVATIONS, {"order_id": "A1", "sku": "lamp", "quantity": 1}, Did.RESERVED),
    (Api.LEADS, {"email": "a@b"}, Did.ENTERED),
    (Api.MESSAGES, {"to": "a@b", "title": "t", "text": "x"}, Did.SENT),
]


class Books:
    """Books in a list."""

    def __init__(self) -> None:
        self.lines: list[Entry] = []

    def ask(self, api: Api, key: str, request: Mapping[str, object], *, decline: bool = False) -> Verdict:
        """Decide a request and keep its line."""
        asked = Asked(api, key, request, 0.0, decline=decline)
        return self.keep(asked, decide(len(self.lines) + 1, asked, self.lines))

    def keep(self, asked: Asked, verdict: Verdict) -> Verdict:
        """Keep a line."""
        self.lines.append(Entry(len(self.lines) + 1, asked, verdict, 0.0))
        return verdict

    def did(self) -> Iterator[Did]:
        """What was done, in order."""
        return (line.verdict.did for line in self.lines)


@pytest.mark.parametrize(("api", "request_", "did"), ACTS)
def test_a_key_acts_once(api: Api, request_: dict[str, object], did: Did) -> None:
    """Asked again it gives the first answer; with other data it is refused."""
    books = Books()
    first = books.ask(api, "k1", request_)
    again = books.ask(api, "k1", request_)
    assert (first.did, again.did) == (did, Did.REPEATED)
    assert (again.status, again.answer) == (first.status, first.answer)
    other = books.ask(api, "k1", {**request_, "extra": 1})
    assert (other.status, other.did) == (409, Did.NONE)
    assert books.ask(api, "k2", request_).did is did


def test_a_decline_is_an_answer_too() -> None:
    """A declined card stays declined under its key, also once the fault is gone."""
    books = Books()
    assert books.ask(Api.CHARGES, "k1", {**CHARGE, "card": "declined-1"}).status == 402
    assert books.ask(Api.CHARGES, "k2", CHARGE, decline=True).did is Did.DECLINED
    again = books.ask(Api.CHARGES, "k2", CHARGE)
    assert (again.status, again.did) == (402, Did.REPEATED)


def test_no_stock_is_a_409_with_a_word_of_its_own() -> None:
    """Sold out is told apart from a key that is refused."""
    gone = Books().ask(Api.RESERVATIONS, "k1", {"order_id": "A1", "sku": "sold-out-7", "quantity": 1})
    assert (gone.status, gone.did, gone.answer) == (409, Did.REJECTED, {"error": "sold-out"})


def test_a_refund_gives_back_what_its_original_key_took() -> None:
    """Once: a second refund of the same charge, under whatever key, gives back nothing."""
    books = Books()
    books.ask(Api.CHARGES, "k1", CHARGE)
    first = books.ask(Api.REFUNDS, "r1", UNDO)
    assert (first.did, first.answer["refunded_cents"]) == (Did.REFUNDED, 999)
    again = books.ask(Api.REFUNDS, "r1", UNDO)
    assert (again.did, again.answer) == (Did.REPEATED, first.answer)
    other = books.ask(Api.REFUNDS, "r2", UNDO)
    assert (other.status, other.did, other.answer["refunded_cents"]) == (200, Did.NONE, 0)


def test_a_refund_that_comes_first_blocks_the_charge() -> None:
    """RULES 5.4: to undo by the step's own key makes the outside refuse what lands later."""
    books = Books()
    assert books.ask(Api.REFUNDS, "r1", UNDO).did is Did.BLOCKED
    late = books.ask(Api.CHARGES, "k1", CHARGE)
    assert (late.status, late.did) == (409, Did.NONE)
    assert books.ask(Api.RELEASES, "l1", {"order_id": "A1", "original": "s1"}).did is Did.BLOCKED
    assert books.ask(Api.RESERVATIONS, "s1", {"order_id": "A1", "sku": "x", "quantity": 1}).status == 409


def test_a_refund_that_failed_blocks_nothing() -> None:
    """A request that a fault answered with 500 did nothing, whatever it asked for."""
    books = Books()
    books.keep(Asked(Api.REFUNDS, "r1", UNDO, 0.0, "error"), Verdict(500, Did.NONE))
    assert books.ask(Api.CHARGES, "k1", CHARGE).did is Did.CHARGED
    assert books.ask(Api.REFUNDS, "r1", UNDO).did is Did.REFUNDED


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(Api.CHARGES), st.sampled_from(["k1", "k2"])),
            st.tuples(st.just(Api.REFUNDS), st.sampled_from(["r1", "r2", "r3"])),
        ),
        max_size=12,
    )
)
def test_the_books_balance_in_every_order(asked: list[tuple[Api, str]]) -> None:
    """Whatever comes in whatever order: at most one charge a key, at most one refund a charge, none without."""
    books = Books()
    for api, key in asked:
        books.ask(api, key, CHARGE if api is Api.CHARGES else UNDO)
    charged = [line.asked.key for line in books.lines if line.verdict.did is Did.CHARGED]
    refunded = [line.asked.original for line in books.lines if line.verdict.did is Did.REFUNDED]
    assert len(charged) == len(set(charged))
    assert len(refunded) == len(set(refunded)) <= charged.count("k1")
    undone = [number for number, did in enumerate(books.did()) if did in {Did.REFUNDED, Did.BLOCKED}]
    late = [n for n, line in enumerate(books.lines) if line.verdict.did is Did.CHARGED and line.asked.key == "k1"]
    assert all(number < undone[0] for number in late if undone)
