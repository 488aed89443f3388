"""The services of hocket in the figures about sagas, time-outs and breakers."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import aiohttp

from hocket import Breaker, Event, Heard, Service, Tx
from tests.bench.event import Line, Placed
from tests.bench.services import OrderFailed, Packed, ParcelPacked, ParcelSent, Sent

#: Failures in a row that open the breaker of `billing`.
AFTER = 5
#: Calls that may begin in a second in all replicas of `quota`, and how long one takes.
A_SECOND, CALL_SECONDS = 50, 0.02
#: How long the time-outs of `desk` last as declared; the figure lets them be due earlier.
WITHIN = timedelta(hours=1)


class PackingUndone(Event, type="packing.undone", subject="order/{order_id}"):
    """What the undo of the first says."""

    order_id: str


class SendingUndone(Event, type="sending.undone", subject="order/{order_id}"):
    """What the undo of the second says."""

    order_id: str


class ParcelDelivered(Event, type="parcel.delivered", subject="order/{order_id}"):
    """What the third says."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class DeliveryUndone(Event, type="delivery.undone", subject="order/{order_id}"):
    """What its undo says."""

    order_id: str


class OrderPaid(Heard, type="order.paid"):
    """What would answer the time-out of `desk`."""

    order_id: str


def first() -> Service[None]:
    """The first of a saga: a step and its undo."""
    service = Service("first", owner="team-bench")

    @service.handler
    async def handle(order: Placed, tx: Tx) -> ParcelPacked:
        return ParcelPacked(**order.__dict__)

    @service.undo(handle, ParcelPacked, by="order_id")
    async def unhandle(order: Placed, did: ParcelPacked | None, why: OrderFailed, tx: Tx) -> PackingUndone:
        return PackingUndone(order_id=order.order_id)

    return service


def second() -> Service[None]:
    """The second."""
    service = Service("second", owner="team-bench")

    @service.handler
    async def handle(order: Packed, tx: Tx) -> ParcelSent:
        return ParcelSent(**order.__dict__)

    @service.undo(handle, ParcelSent, by="order_id")
    async def unhandle(order: Packed, did: ParcelSent | None, why: OrderFailed, tx: Tx) -> SendingUndone:
        return SendingUndone(order_id=order.order_id)

    return service


def third(arrived: Callable[[int], None]) -> Service[None]:
    """The third, which tells `arrived`."""
    service = Service("third", owner="team-bench")

    @service.handler
    async def handle(order: Sent, tx: Tx) -> ParcelDelivered:
        arrived(order.sent_ns)
        return ParcelDelivered(**order.__dict__)

    @service.undo(handle, ParcelDelivered, by="order_id")
    async def unhandle(order: Sent, did: ParcelDelivered | None, why: OrderFailed, tx: Tx) -> DeliveryUndone:
        return DeliveryUndone(order_id=order.order_id)

    return service


def billing(
    call: Callable[[str, int], AbstractAsyncContextManager[Any]], heard: Callable[[int], None], open_for: timedelta
) -> Service[None]:
    """`charge` calls an API behind a breaker with `call(order, attempt)`; `note` hears the same and tells `heard`."""
    service = Service("billing", owner="team-bench")
    breaker = Breaker("card-api", failures=(aiohttp.ClientError,), after=AFTER, open_for=open_for)

    @service.handler(breaker=breaker)
    async def charge(order: Placed, tx: Tx) -> None:
        async with tx.outside(breaker), call(order.order_id, tx.attempt) as answer:
            answer.raise_for_status()

    @service.handler
    async def note(order: Placed, tx: Tx) -> None:
        heard(order.sent_ns)

    return service


def quota(begun: Callable[[], Awaitable[None]]) -> Service[None]:
    """`call` calls an API that takes `A_SECOND` calls a second; `begun` is the call."""
    service = Service("quota", owner="team-bench")
    breaker = Breaker("bank-api", failures=(OSError,), per_second=A_SECOND)

    @service.handler(breaker=breaker)
    async def call(order: Placed, tx: Tx) -> None:
        async with tx.outside(breaker):
            await begun()

    return service


def desk(fired: Callable[[str], None]) -> Service[None]:
    """A time-out of one hour that tells `fired` whose time is over."""
    service = Service("desk", owner="team-bench")

    @service.overdue(WITHIN, unless=OrderPaid, late="accepted")
    async def unpaid(order: Placed, tx: Tx) -> None:
        fired(order.order_id)

    return service
