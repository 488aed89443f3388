"""What the carrier's answers mean."""

import pytest

from services.shipping.domain import Booked, NotCarried, Refused, is_failure, read_parcel, read_recall


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (409, False), (422, False), (408, True), (425, True), (429, True), (503, True)]
)
def test_busy_and_ill_are_no_answers(status: int, failed: bool) -> None:
    """Who is busy has said nothing about the parcel, and is asked again later."""
    assert is_failure(status) is failed


def test_a_parcel_is_read_by_its_status_and_word() -> None:
    """2xx is a parcel; 422 means goods that are not carried only when it says so, else it is about the request."""
    assert read_parcel(201, {"id": "pa_1"}) == Booked("pa_1")
    assert read_parcel(422, {"error": "refused"}) == NotCarried()
    assert read_parcel(422, {"error": "malformed"}) == Refused("malformed")
    assert read_parcel(409, {}) == Refused("status 409")


def test_a_recall_is_done_or_refused() -> None:
    """Also where nothing had been booked it is done."""
    assert read_recall(200, {"id": "rc_1"}) == "rc_1"
    assert read_recall(422, {"error": "not given back"}) == Refused("not given back")
