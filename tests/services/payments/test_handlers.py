"""Charging and refunding as plain functions."""

import aiohttp
import pytest
from sqlalchemy import select

from hocket import Death, Reject
from hocket.testing import fake_tx
from services.payments import storage
from services.payments.domain import NO_ANSWER, Charged, Declined, Refunded, Refused
from services.payments.events import OrderPlaced, PaymentCharged, PaymentDeclined, PaymentRefunded, StockRejected
from services.payments.handlers import charge, charge_gave_up, refund

ORDER = OrderPlaced(order_id="A1", card="tok", sku="lamp", quantity=2, total_cents=999)
CHARGED = PaymentCharged(order_id="A1", charge_id="ch_1", sku="lamp", quantity=2, total_cents=999)
REJECTED = StockRejected(order_id="A1", reason="no stock")


class Cards:
    """A card system that always gives the same answers, and remembers what it was asked."""

    def __init__(
        self,
        charged: Charged | Declined | Refused | Exception = Charged("ch_1"),  # noqa: B008 - immutable
        refunded: Refunded | Refused = Refunded("re_1", 999),  # noqa: B008 - immutable
    ) -> None:
        self.charged = charged
        self.refunded = refunded
        self.asked: list[tuple[object, ...]] = []

    async def charge(self, order_id: str, card: str, total_cents: int, *, key: str) -> Charged | Declined | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append((order_id, card, total_cents, key))
        if isinstance(self.charged, Exception):
            raise self.charged
        return self.charged

    async def refund(self, order_id: str, *, key: str, original: str) -> Refunded | Refused:
        """See `services.payments.service.Cards`."""
        self.asked.append((order_id, key, original))
        return self.refunded


async def test_a_card_that_pays_is_said_and_noted() -> None:
    """The charge is asked for under the stable key, and carries what stock needs."""
    cards = Cards()
    tx = fake_tx(uses=cards, tables=storage.tables)
    assert await charge(ORDER, tx) == CHARGED
    assert cards.asked == [("A1", "tok", 999, tx.idempotency_key)]
    rows = (await (await tx.db()).execute(select(storage.charges))).all()
    assert [tuple(row) for row in rows] == [("A1", "ch_1", 999, "")]


async def test_a_card_that_does_not_pay_is_said_and_not_noted() -> None:
    """The reason is the card system's."""
    tx = fake_tx(uses=Cards(Declined("no money")), tables=storage.tables)
    assert await charge(ORDER, tx) == PaymentDeclined(order_id="A1", reason="no money")
    assert not (await (await tx.db()).execute(select(storage.charges))).all()


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError(), TimeoutError()])
async def test_a_card_system_that_fails_is_tried_again(error: Exception) -> None:
    """The failure goes up, to the breaker and the retries."""
    with pytest.raises(type(error)):
        await charge(ORDER, fake_tx(uses=Cards(error), tables=storage.tables))


async def test_a_refused_key_is_not_tried_again() -> None:
    """Asking once more would change nothing: dead at once, and on_dead says declined."""
    with pytest.raises(Reject, match="A1"):
        await charge(ORDER, fake_tx(uses=Cards(Refused("given back")), tables=storage.tables))
    said = charge_gave_up(ORDER, Death("rejected", "given back", 1))
    assert said == PaymentDeclined(order_id="A1", reason=NO_ANSWER)


@pytest.mark.parametrize("charged", [CHARGED, None])
async def test_a_refund_names_the_key_of_its_charge(charged: PaymentCharged | None) -> None:
    """RULES 5.4: undone by the step's own key, whether or not anybody knows that it happened."""
    cards = Cards()
    tx = fake_tx(uses=cards, tables=storage.tables)
    said = await refund(ORDER, charged, REJECTED, tx)
    assert said == PaymentRefunded(order_id="A1", refund_id="re_1", refunded_cents=999, reason="no stock")
    assert cards.asked == [("A1", tx.idempotency_key, tx.step_key)]


async def test_a_refund_of_nothing_says_nothing() -> None:
    """Where nothing had been taken, nothing was given back."""
    cards = Cards(refunded=Refunded("re_1", 0))
    assert await refund(ORDER, None, REJECTED, fake_tx(uses=cards, tables=storage.tables)) is None


async def test_a_refused_refund_is_for_a_person() -> None:
    """It is dead at once and stays a zombie until a person settles it."""
    cards = Cards(refunded=Refused("malformed"))
    with pytest.raises(Reject, match="A1"):
        await refund(ORDER, CHARGED, REJECTED, fake_tx(uses=cards, tables=storage.tables))
