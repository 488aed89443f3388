"""Holding money, taking it and giving it back as plain functions."""

import aiohttp
import pytest

from hocket import Death, Reject, Tx
from hocket.testing import fake_tx
from services.payments import storage
from services.payments.domain import NO_ANSWER, Authorised, Captured, Declined, GivenBack, Lapsed, Refused
from services.payments.events import (
    OrderCancelled,
    OrderPlaced,
    ParcelShipped,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from services.payments.handlers import authorise, authorise_gave_up, capture, refund, void
from services.payments.service import Cards

ORDER = OrderPlaced(order_id="A1", card="tok", sku="lamp", quantity=2, total_cents=999)
PARCEL = ParcelShipped(order_id="A1")
AUTHORISED = PaymentAuthorised(order_id="A1", authorisation_id="au_1", sku="lamp", quantity=2, total_cents=999)
CAPTURED = PaymentCaptured(order_id="A1", capture_id="ca_1", total_cents=999)
CANCELLED = OrderCancelled(order_id="A1", reason="no stock")


class SampleCards:
    """A card system that always gives the same answers, and remembers what it was asked."""

    def __init__(
        self,
        authorised: Authorised | Declined | Refused | Exception = Authorised("au_1"),  # noqa: B008 - immutable
        captured: Captured | Lapsed | Refused = Captured("ca_1"),  # noqa: B008 - immutable
        given_back: GivenBack | Refused = GivenBack("back_1", 999),  # noqa: B008 - immutable
    ) -> None:
        self.authorised = authorised
        self.captured = captured
        self.given_back = given_back
        self.asked: list[tuple[object, ...]] = []

    async def authorise(
        self, order_id: str, card: str, total_cents: int, *, key: str
    ) -> Authorised | Declined | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append(("authorise", order_id, card, total_cents, key))
        if isinstance(self.authorised, Exception):
            raise self.authorised
        return self.authorised

    async def void(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append(("void", order_id, key, original))
        return self.given_back

    async def capture(
        self, order_id: str, authorisation_id: str, total_cents: int, *, key: str
    ) -> Captured | Lapsed | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append(("capture", order_id, authorisation_id, total_cents, key))
        return self.captured

    async def refund(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append(("refund", order_id, key, original))
        return self.given_back


def _tx(cards: SampleCards) -> Tx[Cards]:
    return fake_tx(uses=cards, tables=storage.tables)


async def _held(cards: SampleCards) -> Tx[Cards]:
    """A transaction in whose database money is held for order A1."""
    tx = _tx(cards)
    await storage.note_authorisation(await tx.read(), "A1", "au_1", 999)
    return tx


async def _noted(tx: Tx[Cards]) -> tuple[str, str, str] | None:
    found = await storage.find(await tx.db(), "A1")
    return (found.void_id, found.capture_id, found.refund_id) if found else None


async def test_a_card_that_pays_is_said_and_noted() -> None:
    """The money is asked for under the stable key, and the event carries what stock needs."""
    cards = SampleCards()
    tx = _tx(cards)
    assert await authorise(ORDER, tx) == AUTHORISED
    assert cards.asked == [("authorise", "A1", "tok", 999, tx.idempotency_key)]
    assert await storage.find(await tx.db(), "A1") == storage.Payment("A1", "au_1", 999, "", "", "")


async def test_a_card_that_does_not_pay_is_said_and_not_noted() -> None:
    """The reason is the card system's."""
    tx = _tx(SampleCards(Declined("no money")))
    assert await authorise(ORDER, tx) == PaymentDeclined(order_id="A1", reason="no money")
    assert await _noted(tx) is None


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError(), TimeoutError()])
async def test_a_card_system_that_fails_is_tried_again(error: Exception) -> None:
    """The failure goes up, to the breaker and the retries."""
    with pytest.raises(type(error)):
        await authorise(ORDER, _tx(SampleCards(error)))


async def test_a_refused_key_is_not_tried_again() -> None:
    """Asking once more would change nothing: dead at once, and on_dead says declined."""
    with pytest.raises(Reject, match="A1"):
        await authorise(ORDER, _tx(SampleCards(Refused("given back"))))
    said = authorise_gave_up(ORDER, Death("rejected", "given back", 1))
    assert said == PaymentDeclined(order_id="A1", reason=NO_ANSWER)


@pytest.mark.parametrize("authorised", [AUTHORISED, None])
async def test_a_void_names_the_key_of_its_authorisation(authorised: PaymentAuthorised | None) -> None:
    """RULES 5.4: undone by the step's own key, whether or not anybody knows that it happened."""
    cards = SampleCards()
    tx = await _held(cards)
    said = await void(ORDER, authorised, CANCELLED, tx)
    assert said == PaymentVoided(order_id="A1", void_id="back_1", voided_cents=999, reason="no stock")
    assert cards.asked == [("void", "A1", tx.idempotency_key, tx.step_key)]
    assert await _noted(tx) == ("back_1", "", "")


async def test_the_money_of_a_parcel_is_taken() -> None:
    """By the authorisation that payments itself wrote down, and for its amount."""
    cards = SampleCards()
    tx = await _held(cards)
    assert await capture(PARCEL, tx) == CAPTURED
    assert cards.asked == [("capture", "A1", "au_1", 999, tx.idempotency_key)]
    assert await _noted(tx) == ("", "ca_1", "")


async def test_money_that_is_held_no_longer_is_not_taken() -> None:
    """The order was cancelled meanwhile: nothing is said, nothing is noted, and nobody has to look."""
    tx = await _held(SampleCards(captured=Lapsed()))
    assert await capture(PARCEL, tx) is None
    assert await _noted(tx) == ("", "", "")


async def test_a_capture_that_makes_no_sense_is_for_a_person() -> None:
    """Of money that was never held, or that the card system refuses to take."""
    with pytest.raises(Reject, match="A1"):
        await capture(PARCEL, _tx(SampleCards()))
    with pytest.raises(Reject, match="A1"):
        await capture(PARCEL, await _held(SampleCards(captured=Refused("captured"))))


@pytest.mark.parametrize("captured", [CAPTURED, None])
async def test_a_refund_names_the_key_of_its_capture(captured: PaymentCaptured | None) -> None:
    """RULES 5.4: undone by the step's own key, whether or not anybody knows that it happened."""
    cards = SampleCards()
    tx = await _held(cards)
    said = await refund(PARCEL, captured, CANCELLED, tx)
    assert said == PaymentRefunded(order_id="A1", refund_id="back_1", refunded_cents=999, reason="no stock")
    assert cards.asked == [("refund", "A1", tx.idempotency_key, tx.step_key)]
    assert await _noted(tx) == ("", "", "back_1")


async def test_giving_back_nothing_says_nothing() -> None:
    """Where nothing was held or taken, nothing was given back."""
    cards = SampleCards(given_back=GivenBack("back_1", 0))
    assert await void(ORDER, None, CANCELLED, await _held(cards)) is None
    assert await refund(PARCEL, None, CANCELLED, tx := await _held(cards)) is None
    assert await _noted(tx) == ("", "", "")


async def test_who_will_not_give_back_is_for_a_person() -> None:
    """It is dead at once and stays a zombie until a person settles it."""
    cards = SampleCards(given_back=Refused("malformed"))
    with pytest.raises(Reject, match="A1"):
        await void(ORDER, AUTHORISED, CANCELLED, await _held(cards))
    with pytest.raises(Reject, match="A1"):
        await refund(PARCEL, CAPTURED, CANCELLED, await _held(cards))
