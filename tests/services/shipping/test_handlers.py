"""Shipping and recalling as plain functions."""

import pytest

from hocket import Death, Reject
from hocket.testing import fake_tx
from services.shipping import storage
from services.shipping.domain import NO_ANSWER, NOT_CARRIED, Booked, NotCarried, Refused
from services.shipping.events import OrderCancelled, OrderConfirmed, ParcelRecalled, ParcelRefused, ParcelShipped
from services.shipping.handlers import recall, ship, ship_gave_up

ORDER = OrderConfirmed(order_id="A1", sku="lamp", quantity=2)
SHIPPED = ParcelShipped(order_id="A1", parcel_id="pa_1")
CANCELLED = OrderCancelled(order_id="A1", reason="too late")


class SampleCarrier:
    """A carrier that always gives the same answers, and remembers what it was asked."""

    def __init__(self, answer: Booked | NotCarried | Refused, recalled: str | Refused = "rc_1") -> None:
        self.answer = answer
        self.recalled = recalled
        self.asked: list[tuple[object, ...]] = []

    async def book(self, order_id: str, sku: str, quantity: int, *, key: str) -> Booked | NotCarried | Refused:
        """See `services.shipping.service.Carrier`."""
        self.asked.append((order_id, sku, quantity, key))
        return self.answer

    async def recall(self, order_id: str, *, key: str, original: str) -> str | Refused:
        """See `services.shipping.service.Carrier`."""
        self.asked.append((order_id, key, original))
        return self.recalled


async def test_a_parcel_is_said_and_noted() -> None:
    """Booked under the stable key, and noted with the flow of its order."""
    carrier = SampleCarrier(Booked("pa_1"))
    tx = fake_tx(uses=carrier, tables=storage.tables)
    assert await ship(ORDER, tx) == SHIPPED
    assert carrier.asked == [("A1", "lamp", 2, tx.idempotency_key)]
    noted = await storage.find(await tx.db(), "A1")
    assert noted == storage.Parcel("A1", "pa_1", tx.correlation_id, delivered=False, recalled=False)


async def test_goods_that_are_not_carried_are_a_refusal() -> None:
    """A value, not a failure: nothing is tried again."""
    said = await ship(ORDER, fake_tx(uses=SampleCarrier(NotCarried()), tables=storage.tables))
    assert said == ParcelRefused(order_id="A1", reason=NOT_CARRIED)


async def test_a_refused_key_is_not_tried_again() -> None:
    """Asking once more would change nothing: dead at once, and on_dead says refused."""
    with pytest.raises(Reject, match="A1"):
        await ship(ORDER, fake_tx(uses=SampleCarrier(Refused("given back")), tables=storage.tables))
    said = ship_gave_up(ORDER, Death("rejected", "given back", 1))
    assert said == ParcelRefused(order_id="A1", reason=NO_ANSWER)


@pytest.mark.parametrize("shipped", [SHIPPED, None])
async def test_a_recall_names_the_key_of_its_parcel(shipped: ParcelShipped | None) -> None:
    """RULES 5.4: undone by the step's own key, whether or not anybody knows that it happened."""
    carrier = SampleCarrier(Booked("pa_1"))
    tx = fake_tx(uses=carrier, tables=storage.tables)
    await storage.note_parcel(await tx.read(), "A1", "pa_1", "f")
    said = await recall(ORDER, shipped, CANCELLED, tx)
    assert said == ParcelRecalled(order_id="A1", recall_id="rc_1", reason="too late")
    assert carrier.asked == [("A1", tx.idempotency_key, tx.step_key)]
    noted = await storage.find(await tx.db(), "A1")
    assert noted is not None
    assert noted.recalled


async def test_a_refused_recall_is_for_a_person() -> None:
    """It is dead at once and stays a zombie until a person settles it."""
    carrier = SampleCarrier(Booked("pa_1"), Refused("not given back"))
    with pytest.raises(Reject, match="A1"):
        await recall(ORDER, SHIPPED, CANCELLED, fake_tx(uses=carrier, tables=storage.tables))
