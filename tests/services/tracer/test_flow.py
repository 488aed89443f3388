"""The tracer beside running services: what it says is what they did."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from hocket import Death, Event, Heard, Retry, Service, Tx
from hocket.testing import play
from services.tracer import tracer
from services.tracer.ask.flows import flow_of, flows_of_subject, needing, telling
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.own import Bounds, own_state
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.show.as_json import flow_json
from services.tracer.show.sentences import plain, where_is
from tests.hocket.across_bank import BOUGHT, DROPPED, Bank, Bought, Cancelled, bank

AFTERWARDS = timedelta(minutes=4)


class Ordered(Event, type="order.placed", subject="order/{order_id}"):
    """An order."""

    order_id: str


class Charged(Event, type="payment.charged", subject="order/{order_id}"):
    """Its charge."""

    order_id: str


class Declined(Event, type="payment.declined", subject="order/{order_id}"):
    """No charge."""

    order_id: str


class Refunded(Event, type="payment.refunded", subject="order/{order_id}"):
    """The charge given back."""

    order_id: str


class ChargedHeard(Heard, type="payment.charged"):
    """A charge, as the shop hears it."""

    order_id: str


class Rejected(Event, type="stock.rejected", subject="order/{order_id}"):
    """No goods."""

    order_id: str


class RejectedHeard(Heard, type="stock.rejected"):
    """No goods, as payments hears it."""

    order_id: str


class OrderedHeard(Heard, type="order.placed"):
    """An order, as payments hears it."""

    order_id: str


class Card:
    """The card system: fails as often as it is told to."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails

    def call(self) -> None:
        """One call."""
        if self.fails:
            self.fails -= 1
            raise ConnectionError("cards are away")


@asynccontextmanager
async def card() -> AsyncIterator[Card]:
    """A card system that works."""
    yield Card()


orders = Service("orders", owner="team-shop")
orders.says(Ordered)
payments = Service("payments", owner="team-money", uses=card)
inventory = Service("inventory", owner="team-stock")


@payments.handler(retry=Retry(retries=2, first=timedelta(seconds=40), longest=timedelta(seconds=40)))
async def charge(order: OrderedHeard, tx: Tx[Card]) -> Charged:
    """Charge."""
    tx.use.call()
    return Charged(order_id=order.order_id)


@payments.on_dead(charge)
def gave_up(order: OrderedHeard, death: Death) -> Declined:
    """Say so."""
    return Declined(order_id=order.order_id)


@payments.undo(charge, Charged)
async def refund(order: OrderedHeard, did: Charged | None, why: RejectedHeard | Declined, tx: Tx[Card]) -> Refunded:
    """Give back."""
    return Refunded(order_id=order.order_id)


@inventory.handler
async def reserve(paid: ChargedHeard, tx: Tx) -> Rejected | None:
    """Sold out for orders that say so."""
    return Rejected(order_id=paid.order_id) if paid.order_id == "sold-out" else None


async def answer(subject: str) -> str:
    """What the tracer says of a subject."""
    async with tracer.tx() as tx:
        db = await tx.read()
        known = await knowledge(db)
        found = await flows_of_subject(db, subject, known)
        return plain(where_is(subject, telling(found), tx.time))


async def test_it_says_where_an_order_is() -> None:
    """A charge that fails once is waited for, then handled; nothing is kept aside."""
    async with play(orders, payments.using(Card(fails=1)), inventory, tracer) as stage:
        async with orders.tx(key="1") as tx:
            tx.say(Ordered(order_id="1"))
        await stage.advance(timedelta(milliseconds=5))
        said = await answer("order/1")
        assert said.startswith("order/1 is waiting for payments.charge since ")
        assert "attempt 1 failed: ConnectionError; next attempt at" in said
        await stage.advance(AFTERWARDS)
        assert await answer("order/1") == "order/1 is placed: every subscription has handled it"
        async with tracer.tx() as tx:
            assert (await own_state(await tx.read(), tx.time, Bounds(168, 20e9))).aside == 0


async def test_it_says_that_an_order_was_undone() -> None:
    """RULES 5.4, 7.4: a rejected order is compensated, in the tracer's words and by its owner's name."""
    async with play(orders, payments.using(Card()), inventory, tracer) as stage:
        async with orders.tx(key="2") as tx:
            tx.say(Ordered(order_id="sold-out"))
        await stage.advance(AFTERWARDS)
        said = await answer("order/sold-out")
        assert said.startswith("order/sold-out is placed: payments.refund undid payments.charge at ")
        async with tracer.tx() as tx:
            known = await knowledge(await tx.read())
        assert known.owner("payments") == "team-money"


async def test_it_says_that_a_buried_step_was_undone() -> None:
    """RULES 5.5: a charge that is given up speaks, is undone, and leaves nothing to a person."""
    async with play(orders, payments.using(Card(fails=3)), inventory, tracer) as stage:
        async with orders.tx(key="3") as tx:
            tx.say(Ordered(order_id="3"))
        await stage.advance(AFTERWARDS)
        assert stage.dead == ["payments.charge"]
        assert "payments.refund undid payments.charge" in await answer("order/3")
        async with tracer.tx() as tx:
            db = await tx.read()
            known = await knowledge(db)
            assert await needing(db, known, tx.time) == []


async def test_a_failure_is_drawn_from_flow_to_flow() -> None:
    """RULES 5.3: the flow of a cancellation names the flow that it reached, and that one names the cancellation."""
    world = Bank()
    async with play(bank.using(world), tracer) as stage:
        await stage.hear(Bought(order="1"), subject="order/1", correlation_id=BOUGHT)
        await stage.advance(AFTERWARDS)
        assert (await flow_at(BOUGHT)).state is FlowState.DONE
        for order in ("1", "unknown"):
            await stage.hear(Cancelled(order=order), subject=f"order/{order}", correlation_id=DROPPED)
        await stage.advance(AFTERWARDS)
        bought, dropped = await flow_at(BOUGHT), await flow_at(DROPPED)
        assert bought.state is FlowState.COMPENSATED
        assert [(each.event.type, each.correlationid) for each in bought.reached_by] == [("shop.cancelled", DROPPED)]
        assert {each.reached for each in dropped.reached} == {(BOUGHT,), "none"}
        assert dropped.state is FlowState.DONE
        async with tracer.tx() as tx:
            told = flow_json(dropped, await knowledge(await tx.read()), tx.time)
        assert sorted(each["flows"] for each in told["reached"]) == [[], [BOUGHT]]


async def flow_at(id: str) -> Flow:
    """A flow as the tracer shows it now."""
    async with tracer.tx() as tx:
        db = await tx.read()
        found = await flow_of(db, id, await knowledge(db), now=tx.time)
        assert found is not None
        return found
