"""What the cards' books tell of a breaker: probes are allowed, everything else while it is open is not."""

import pytest

from deploy.auditor.breaking import CLIENT_SECONDS, GUARDED, OPEN_SECONDS, OPENS_AFTER, call_of, while_open
from hocket import Breaker
from services.crm import service as crm
from services.inventory import service as inventory
from services.notifications import service as notifications
from services.payments import service as payments
from services.shipping import service as shipping
from tests.deploy.auditor.books import Books

Planned = list[tuple[float, int]]
#: Five failures, a second apart; the breaker is open from 14.01 to 19.01.
OPENED: Planned = [(10.0 + each, 500) for each in range(5)]


#: The breaker around each outside system, and how long its service waits for an answer.
SHOP: dict[str, tuple[Breaker, float]] = {
    "cards": (payments.card_api, payments.Settings().timeout_seconds),
    "stock": (inventory.stock_api, inventory.Settings().timeout_seconds),
    "carrier": (shipping.carrier_api, shipping.Settings().timeout_seconds),
    "crm": (crm.crm_api, crm.Settings().timeout_seconds),
    "mail": (notifications.mail_api, notifications.Settings().timeout_seconds),
}


def lines(planned: Planned) -> Books:
    """Books with these requests to the cards: second and status."""
    books = Books()
    books.cards.clear()
    for at, status in planned:
        asked(books, at, status)
    return books


def asked(books: Books, at: float, status: int = 201, took: float = 0.01) -> None:
    """One more request."""
    books.line("A", "none", api="cards/any", status=status, at=at, took=took)


@pytest.mark.parametrize("system", GUARDED)
def test_the_auditor_knows_the_shops_breakers(system: str) -> None:
    """The auditor shares no code with the shop; the numbers by which it judges are those of each breaker."""
    breaker, waits = SHOP[system]
    assert (breaker.after, breaker.open_for.total_seconds(), waits) == (OPENS_AFTER, OPEN_SECONDS, CLIENT_SECONDS)


@pytest.mark.parametrize(
    ("planned", "wrong"),
    [
        pytest.param(OPENED, [], id="opening is no wrong"),
        pytest.param([*OPENED, (14.4, 500)], [], id="on its way when it opened"),
        pytest.param([*OPENED, (14.6, 500)], [6], id="begun after it opened"),
        pytest.param([*OPENED, (23.9, 500)], [6], id="a probe before the period is over"),
        pytest.param([*OPENED, (24.02, 500)], [], id="a probe"),
        pytest.param([*OPENED, (24.02, 500), (25.0, 500)], [7], id="a request after a failed probe"),
        pytest.param([*OPENED, (24.02, 500), (34.04, 201), (34.06, 201)], [], id="closed by a success"),
        pytest.param([*OPENED, (24.02, 500), (24.025, 500)], [7], id="two probes at once"),
        pytest.param([*OPENED[:4], (14.0, 408), (14.6, 500)], [6], id="a 408 is a failure"),
        pytest.param([*OPENED[:4], (14.0, 429), (14.5, 429)], [], id="a 429 says itself for how long"),
        pytest.param([*OPENED[:4], (14.0, 429), (14.6, 500), (14.7, 500)], [7], id="and one may try then"),
        pytest.param([*OPENED[:4], (14.0, 402), (14.1, 500), (14.2, 500)], [], id="a decline is an answer"),
        pytest.param([*OPENED, (24.02, 201), *[(25.0 + each, 500) for each in range(4)]], [], id="four are too few"),
    ],
)
def test_requests_while_open(planned: Planned, wrong: list[int]) -> None:
    """After five failed answers in a row each request that comes too soon counts, until a success."""
    assert while_open(lines(planned).cards) == wrong


def test_a_late_answer_is_a_failure_when_the_caller_gives_up() -> None:
    """An answer that takes longer than the caller waits has failed, at the moment the caller gave up."""
    books = lines([])
    asked(books, 10.0, took=3.0)
    call = call_of(books.cards[0])
    assert call.failed
    assert call.ended == pytest.approx(call.began + 1.0)


def test_an_answer_that_never_came_is_a_failure() -> None:
    """A request that the books have not answered failed too."""
    books = lines([(10.0, 201)])
    books.cards[0]["ended"] = None
    assert call_of(books.cards[0]).failed


def test_a_lie_is_a_failure() -> None:
    """What was done and answered with an error has failed for the shop."""
    books = lines([])
    books.line("A", "captured", fault="lie")
    books.line("B", "captured")
    assert [call_of(row).failed for row in books.cards] == [True, False]


def test_a_probe_within_one_millisecond_closes() -> None:
    """A request that begins and ends in the same millisecond of the books still ends after it began."""
    books = lines(OPENED)
    asked(books, 24.02, took=0.0)
    asked(books, 24.03)
    assert while_open(books.cards) == []


def test_a_time_out_may_be_known_earlier() -> None:
    """The caller's clock runs before its request arrives: after timeouts the period may begin a little earlier."""
    books = lines([])
    for at in range(5):
        asked(books, 10.0 + at, took=3.0)
    asked(books, 24.85)
    assert while_open(books.cards) == []
    books.cards[-1]["began"] -= 0.1
    assert while_open(books.cards) == [6]


def test_a_time_out_beside_a_success_is_not_surely_in_a_row() -> None:
    """A timeout that may have been known before a success does not count as the first failure after it."""
    books = lines([])
    for at in (10.0, 10.01, 10.02, 10.03, 10.04):
        asked(books, at, took=3.0)
    asked(books, 10.95)
    asked(books, 11.5)
    assert while_open(books.cards) == []


def test_what_began_before_the_breaker_closed_says_nothing() -> None:
    """Failures of calls that began before it was closed do not count towards the next opening."""
    books = lines([*OPENED, (24.02, 201)])
    for each in range(5):
        asked(books, 23.5 + each / 1000, took=7.0)  # wrong, and failed at 24.5, for the shop waits a second
    asked(books, 25.5)
    assert while_open(books.cards) == [7, 8, 9, 10, 11]
