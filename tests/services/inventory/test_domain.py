"""What the shop system's answers mean."""

import pytest

from services.inventory.domain import Refused, Reserved, SoldOut, is_failure, read_release, read_reservation


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (409, False), (422, False), (408, True), (425, True), (429, True), (503, True)]
)
def test_busy_and_ill_are_no_answers(status: int, failed: bool) -> None:
    """Who is busy has said nothing about the goods, and is asked again later."""
    assert is_failure(status) is failed


def test_a_reservation_is_read_by_its_status_and_word() -> None:
    """2xx is a reservation; 409 is a lack of goods only when it says so, else it is about the key."""
    assert read_reservation(201, {"id": "rs_1"}) == Reserved("rs_1")
    assert read_reservation(409, {"error": "sold-out"}) == SoldOut()
    assert read_reservation(409, {"error": "given back"}) == Refused("given back")
    assert read_reservation(422, {}) == Refused("status 422")


def test_a_release_is_done_or_refused() -> None:
    """Also where nothing had been taken it is done."""
    assert read_release(200, {"id": "rl_1"}) is None
    assert read_release(422, {"error": "not given back"}) == Refused("not given back")
