"""The outside world, pure: one key acts at most once, and what is given back is given back once and for all."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.domain import Api, Asked, Did, Entry, Verdict, decide

HOLD = {"order_id": "A1", "card": "tok", "total_cents": 999}
TAKE = {"order_id": "A1", "authorisation_id": "au_k1", "total_cents": 999}
GOODS = {"order_id": "A1", "sku": "lamp", "quantity": 1}
UNDO = {"order_id": "A1", "original": "k1"}
ACTS = [
    (Api.AUTHORISATIONS, HOLD, Did.AUTHORISED),
    (Api.RESERVATIONS, GOODS, Did.RESERVED),
    (Api.PARCELS, GOODS, Did.BOOKED),
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
    assert books.ask(Api.AUTHORISATIONS, "k1", {**HOLD, "card": "declined-1"}).status == 402
    assert books.ask(Api.AUTHORISATIONS, "k2", HOLD, decline=True).did is Did.DECLINED
    again = books.ask(Api.AUTHORISATIONS, "k2", HOLD)
    assert (again.status, again.did) == (402, Did.REPEATED)


@pytest.mark.parametrize(
    ("api", "sku", "status", "word"),
    [(Api.RESERVATIONS, "sold-out-7", 409, "sold-out"), (Api.PARCELS, "too-big-7", 422, "refused")],
)
def test_a_no_has_a_word_of_its_own(api: Api, sku: str, status: int, word: str) -> None:
    """Goods that cannot be had or carried are told apart from a key or a request that is refused."""
    no = Books().ask(api, "k1", {**GOODS, "sku": sku})
    assert (no.status, no.did, no.answer) == (status, Did.REJECTED, {"error": word})


def test_what_is_held_is_captured_once() -> None:
    """A second capture, one of another authorisation's name, and one after a void are refused, each with its word."""
    books = Books()
    held = books.ask(Api.AUTHORISATIONS, "k1", HOLD)
    assert held.answer == {"id": TAKE["authorisation_id"]}
    assert books.ask(Api.CAPTURES, "c0", {**TAKE, "authorisation_id": "au_k9"}).answer == {"error": "unknown"}
    assert books.ask(Api.CAPTURES, "c1", TAKE).did is Did.CAPTURED
    assert books.ask(Api.CAPTURES, "c1", TAKE).did is Did.REPEATED
    second = books.ask(Api.CAPTURES, "c2", TAKE)
    assert (second.status, second.did, second.answer) == (409, Did.REJECTED, {"error": "captured"})
    books.ask(Api.AUTHORISATIONS, "k2", HOLD)
    assert books.ask(Api.VOIDS, "v1", {**UNDO, "original": "k2"}).answer["voided_cents"] == 999
    late = books.ask(Api.CAPTURES, "c3", {**TAKE, "authorisation_id": "au_k2"})
    assert (late.status, late.did, late.answer) == (409, Did.REJECTED, {"error": "voided"})


def test_a_void_of_what_was_captured_does_nothing() -> None:
    """That money goes back by the refund of its capture."""
    books = Books()
    books.ask(Api.AUTHORISATIONS, "k1", HOLD)
    books.ask(Api.CAPTURES, "c1", TAKE)
    void = books.ask(Api.VOIDS, "v1", UNDO)
    assert (void.status, void.did, void.answer["voided_cents"]) == (200, Did.NONE, 0)
    assert books.ask(Api.REFUNDS, "r1", {**UNDO, "original": "c1"}).answer["refunded_cents"] == 999
    assert books.ask(Api.VOIDS, "v1", UNDO).did is Did.NONE


@pytest.mark.parametrize(
    ("act", "request_", "undo", "did", "cents"),
    [
        (Api.AUTHORISATIONS, HOLD, Api.VOIDS, Did.VOIDED, {"voided_cents": 999}),
        (Api.RESERVATIONS, GOODS, Api.RELEASES, Did.RELEASED, {}),
        (Api.PARCELS, GOODS, Api.RECALLS, Did.RECALLED, {}),
    ],
)
def test_an_undo_gives_back_what_its_original_key_did(
    act: Api, request_: dict[str, object], undo: Api, did: Did, cents: dict[str, int]
) -> None:
    """Once: a second undo of the same act, under whatever key, gives back nothing."""
    books = Books()
    books.ask(act, "k1", request_)
    first = books.ask(undo, "r1", UNDO)
    assert (first.status, first.did) == (200, did)
    assert first.answer.items() >= cents.items()
    again = books.ask(undo, "r1", UNDO)
    assert (again.did, again.answer) == (Did.REPEATED, first.answer)
    other = books.ask(undo, "r2", UNDO)
    assert (other.status, other.did) == (200, Did.NONE)
    assert all(other.answer[name] == 0 for name in cents)


def test_an_undo_that_comes_first_blocks_the_act() -> None:
    """RULES 5.4: to undo by the step's own key makes the outside refuse what lands later."""
    acts = [(Api.VOIDS, Api.AUTHORISATIONS, HOLD), (Api.REFUNDS, Api.CAPTURES, TAKE),
            (Api.RELEASES, Api.RESERVATIONS, GOODS), (Api.RECALLS, Api.PARCELS, GOODS)]  # fmt: skip
    for undo, act, request in acts:
        books = Books()
        if act is Api.CAPTURES:
            books.ask(Api.AUTHORISATIONS, "k1", HOLD)
        assert books.ask(undo, "r1", {**UNDO, "original": "late"}).did is Did.BLOCKED
        late = books.ask(act, "late", request)
        assert (late.status, late.did) == (409, Did.NONE)


def test_an_undo_that_failed_blocks_nothing() -> None:
    """A request that a fault answered with 500 did nothing, whatever it asked for."""
    books = Books()
    books.keep(Asked(Api.VOIDS, "v1", UNDO, 0.0, "error"), Verdict(500, Did.NONE))
    assert books.ask(Api.AUTHORISATIONS, "k1", HOLD).did is Did.AUTHORISED
    assert books.ask(Api.VOIDS, "v1", UNDO).did is Did.VOIDED


def test_who_does_not_give_back_today_may_do_so_tomorrow() -> None:
    """A refusal to give back is no last word: the same key, asked again, gives back."""
    books = Books()
    books.ask(Api.AUTHORISATIONS, "k1", HOLD)
    books.ask(Api.CAPTURES, "c1", TAKE)
    no = books.ask(Api.REFUNDS, "r1", {**UNDO, "original": "c1"}, decline=True)
    assert (no.status, no.did) == (422, Did.REJECTED)
    assert books.ask(Api.REFUNDS, "r1", {**UNDO, "original": "c1"}).did is Did.REFUNDED


def test_a_mail_that_is_refused_today_may_be_sent_tomorrow() -> None:
    """A refusal of a mail is no last word either: the same key, asked again, sends it."""
    books = Books()
    mail = {"to": "a@example.com", "title": "t", "text": "t"}
    assert books.ask(Api.MESSAGES, "m1", mail, decline=True).status == 422
    assert books.ask(Api.MESSAGES, "m1", mail).did is Did.SENT


@given(
    st.lists(
        st.sampled_from(
            [
                (Api.AUTHORISATIONS, "k1", HOLD),
                (Api.VOIDS, "v1", UNDO),
                (Api.VOIDS, "v2", UNDO),
                (Api.CAPTURES, "c1", TAKE),
                (Api.CAPTURES, "c2", TAKE),
                (Api.REFUNDS, "r1", {**UNDO, "original": "c1"}),
                (Api.REFUNDS, "r2", {**UNDO, "original": "c1"}),
                (Api.REFUNDS, "r3", {**UNDO, "original": "c2"}),
            ]
        ),
        max_size=14,
    )
)
def test_the_books_balance_in_every_order(asked: list[tuple[Api, str, dict[str, object]]]) -> None:
    """Whatever comes in whatever order: money that is held is voided, or captured once and refunded once, or stays."""
    books = Books()
    for api, key, request in asked:
        books.ask(api, key, request)
    did = list(books.did())
    assert did.count(Did.REFUNDED) <= did.count(Did.CAPTURED)
    assert did.count(Did.CAPTURED) + did.count(Did.VOIDED) <= did.count(Did.AUTHORISED) <= 1
    settled = [number for number, line in enumerate(books.lines) if line.verdict.did in {Did.VOIDED, Did.BLOCKED}]
    for number, line in enumerate(books.lines):
        if line.verdict.did in {Did.AUTHORISED, Did.CAPTURED}:
            earlier = [books.lines[each].asked.original for each in settled if each < number]
            assert not {line.asked.key, line.asked.original} & set(earlier)
