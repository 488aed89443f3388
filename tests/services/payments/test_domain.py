"""What the card system's answers mean."""

import pytest

from services.payments.domain import (
    Authorised,
    Captured,
    Declined,
    GivenBack,
    Lapsed,
    Refused,
    is_failure,
    read_authorisation,
    read_capture,
    read_refund,
    read_void,
)


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (402, False), (409, False), (408, True), (425, True), (429, True), (503, True)]
)
def test_busy_and_ill_are_no_answers(status: int, failed: bool) -> None:
    """Who is busy has said nothing about the card, and is asked again later."""
    assert is_failure(status) is failed


def test_an_authorisation_is_read_by_its_status() -> None:
    """2xx is money held, 402 a decline, any other no a refusal of the key."""
    assert read_authorisation(201, {"id": "au_1"}) == Authorised("au_1")
    assert read_authorisation(402, {"error": "no money"}) == Declined("no money")
    assert read_authorisation(409, {"error": "given back"}) == Refused("given back")
    assert read_authorisation(404, {}) == Refused("status 404")


def test_a_capture_is_read_by_its_status_and_word() -> None:
    """2xx is money taken; 409 means that nothing is held any more only when it says so."""
    assert read_capture(201, {"id": "ca_1"}) == Captured("ca_1")
    assert read_capture(409, {"error": "voided"}) == Lapsed()
    assert read_capture(409, {"error": "captured"}) == Refused("captured")
    assert read_capture(422, {"error": "voided"}) == Refused("voided")


def test_what_is_given_back_says_how_much() -> None:
    """Where nothing was held or taken it is 0."""
    assert read_void(200, {"id": "vo_1", "voided_cents": 999}) == GivenBack("vo_1", 999)
    assert read_refund(200, {"id": "re_2", "refunded_cents": 0}) == GivenBack("re_2", 0)
    assert read_refund(422, {"error": "malformed"}) == Refused("malformed")
