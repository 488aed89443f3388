"""The shop on one stage: every service of the orders' story and the leads' story, in a world of the test's own."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from hocket.testing import Play, play
from services.crm import crm
from services.ingress import ingress
from services.inventory import inventory
from services.notifications import notifications
from services.order_view import order_view
from services.orders import http, orders, storage
from services.orders.domain import NewOrder
from services.payments import payments
from services.scoring import scoring
from services.shipping import shipping
from tests.flows.fake_outside import FakeCards, FakeCarrier, FakeCustomers, FakeOutside, FakePost, FakeStock, Stands

#: What stands in the world of one order that was shipped, and of one that was cancelled.
SHIPPED, NOTHING = Stands(held=0, taken=1, goods=1, parcels=1), Stands(0, 0, 0, 0)
#: Longer than an order may wait and than a breaker stays open, taken together twice.
SOON = timedelta(minutes=2)
#: Longer than the retries of any handler of the shop take together, undos included.
LONG = timedelta(minutes=20)


def shop(outside: FakeOutside, *, seed: int = 0) -> AbstractAsyncContextManager[Play]:
    """All services of the shop."""
    return play(
        orders,
        payments.using(FakeCards(outside)),
        inventory.using(FakeStock(outside)),
        shipping.using(FakeCarrier(outside)),
        notifications.using(FakePost(outside)),
        ingress,
        crm.using(FakeCustomers(outside)),
        scoring,
        order_view,
        seed=seed,
    )


def order(*, card: str = "tok_1", sku: str = "lamp", email: str = "ada@example.com") -> NewOrder:
    """An order of one lamp."""
    return NewOrder(customer="Ada", email=email, card=card, sku=sku, quantity=1, total_cents=999)


async def state(order_id: str) -> str:
    """Where an order stands."""
    async with orders.tx() as tx:
        found = await storage.find(await tx.read(), order_id)
    assert found is not None
    return found.state


async def place(new: NewOrder, key: str) -> tuple[str, str]:
    """Place an order under a key as `POST /orders` does; its id and its flow."""
    async with orders.tx(key=key) as tx:
        placed = await http.place(tx, new)
    assert placed is not None
    return placed.order_id, placed.flow


async def cancel(order_id: str, reason: str) -> storage.Order | None:
    """Cancel an order for its customer as `POST /orders/{order_id}/cancellations` does."""
    async with orders.tx() as tx:
        return await http.cancel(tx, order_id, reason)
