"""The services of hocket that are measured: one handler that does nothing, a step, a chain of three, many handlers."""

from collections.abc import Callable

from hocket import Event, Heard, Service, Tx
from tests.bench.event import Line, OrderPlaced, Placed


class ParcelPacked(Event, type="parcel.packed", subject="order/{order_id}"):
    """Said by the first of the chain."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class ParcelSent(Event, type="parcel.sent", subject="order/{order_id}"):
    """Said by the second."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class Packed(Heard, type="parcel.packed"):
    """Heard by the second."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class Sent(Heard, type="parcel.sent"):
    """Heard by the third."""

    order_id: str
    amount: int
    currency: str
    sent_ns: int
    lines: list[Line]


class StepDone(Event, type="step.done", subject="order/{order_id}"):
    """What the step says."""

    order_id: str


class StepUndone(Event, type="step.undone", subject="order/{order_id}"):
    """What its undo says."""

    order_id: str


class OrderFailed(Heard, type="order.failed"):
    """Why it is undone."""

    order_id: str


def consuming(arrived: Callable[[int], None], subscriptions: int = 1) -> Service[None]:
    """`bench`: so many handlers of the event; each tells `arrived`."""
    service = Service("bench", owner="team-bench")

    async def handle(order: Placed, tx: Tx) -> None:
        arrived(order.sent_ns)

    for number in range(subscriptions):
        service.handler(name="handle" if number == 0 else f"handle_{number}")(handle)
    return service


def stepping(arrived: Callable[[int], None]) -> Service[None]:
    """`bench` with a step and its undo: one more commit before each run."""
    service = Service("bench", owner="team-bench")

    @service.handler
    async def handle(order: Placed, tx: Tx) -> StepDone:
        arrived(order.sent_ns)
        return StepDone(order_id=order.order_id)

    @service.undo(handle, StepDone, by="order_id")
    async def unstep(order: Placed, did: StepDone | None, why: OrderFailed, tx: Tx) -> StepUndone:
        return StepUndone(order_id=order.order_id)

    return service


def saying() -> Service[None]:
    """`orders`, which says the event outside handlers."""
    service = Service("orders", owner="team-bench")
    service.says(OrderPlaced)
    return service


def first() -> Service[None]:
    """The first of the chain."""
    service = Service("first", owner="team-bench")

    @service.handler
    async def handle(order: Placed, tx: Tx) -> ParcelPacked:
        return ParcelPacked(**order.__dict__)

    return service


def second() -> Service[None]:
    """The second of the chain."""
    service = Service("second", owner="team-bench")

    @service.handler
    async def handle(order: Packed, tx: Tx) -> ParcelSent:
        return ParcelSent(**order.__dict__)

    return service


def third(arrived: Callable[[int], None]) -> Service[None]:
    """The third of the chain, which measures."""
    service = Service("third", owner="team-bench")

    @service.handler
    async def handle(order: Sent, tx: Tx) -> None:
        arrived(order.sent_ns)

    return service
