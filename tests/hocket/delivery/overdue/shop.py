"""A shop that cancels what nobody pays in time, for the tests of time-outs."""

from datetime import timedelta

from hocket import Event, Heard, Retry, Service, Tx
from hocket.declarations.subscription import Late


class Placed(Heard, type="till.placed"):
    """An order was placed: arms."""

    order: int
    amount: int = 1


class Paid(Heard, type="bank.paid"):
    """It was paid: answers."""

    order: int


class Cancelled(Event, type="shop.cancelled", subject="order/{order}"):
    """It was not paid in time."""

    order: int
    amount: int


class Pinged(Heard, type="till.pinged"):
    """A till is alive: arms and answers."""

    till: int


class Lost(Event, type="shop.lost", subject="till/{till}"):
    """A till was silent."""

    till: int


WITHIN = timedelta(minutes=15)
TWICE = Retry(retries=1, first=timedelta(minutes=5), longest=timedelta(minutes=5))


def shop(fail: list[int] | None = None, *, across: bool = False, late: Late = "undone") -> Service[None]:
    """The shop; each number in `fail` makes one attempt for that order raise."""
    service = Service("shop", owner="tests")

    @service.overdue(WITHIN, unless=Paid, by="order", across=across, late=late, retry=TWICE)
    async def unpaid(order: Placed, tx: Tx) -> Cancelled:
        if fail and order.order in fail:
            fail.remove(order.order)
            raise ValueError("the till is jammed")
        return Cancelled(order=order.order, amount=order.amount)

    return service


def watch() -> Service[None]:
    """It notices tills that fall silent."""
    service = Service("shop", owner="tests")

    @service.overdue(WITHIN, unless=Pinged, by="till", across=True)
    async def silent(ping: Pinged, tx: Tx) -> Lost:
        return Lost(till=ping.till)

    return service
