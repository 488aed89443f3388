"""What the shop system's answers mean."""

from services.inventory.domain import Refused, Reserved, SoldOut, read_reservation


def test_a_reservation_is_read_by_its_status_and_word() -> None:
    """2xx is a reservation; 409 is a lack of goods only when it says so, else it is about the key."""
    assert read_reservation(201, {"id": "rs_1"}) == Reserved("rs_1")
    assert read_reservation(409, {"error": "sold-out"}) == SoldOut()
    assert read_reservation(409, {"error": "given back"}) == Refused("given back")
    assert read_reservation(422, {}) == Refused("status 422")
