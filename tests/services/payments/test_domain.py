"""What the card system's answers mean."""

from services.payments.domain import Charged, Declined, Refunded, Refused, read_charge, read_refund


def test_a_charge_is_read_by_its_status() -> None:
    """2xx is a charge, 402 a decline, any other no below 500 a refusal of the key."""
    assert read_charge(201, {"id": "ch_1"}) == Charged("ch_1")
    assert read_charge(402, {"error": "no money"}) == Declined("no money")
    assert read_charge(409, {"error": "given back"}) == Refused("given back")
    assert read_charge(404, {}) == Refused("status 404")


def test_a_refund_says_how_much_went_back() -> None:
    """A refund of what never happened gives back 0."""
    assert read_refund(200, {"id": "re_1", "refunded_cents": 999}) == Refunded("re_1", 999)
    assert read_refund(200, {"id": "re_2", "refunded_cents": 0}) == Refunded("re_2", 0)
    assert read_refund(422, {"error": "malformed"}) == Refused("malformed")
