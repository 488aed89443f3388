"""Eighteen mistakes; a type checker sees all but two. Each is in a function, so that a test can make it.

Each wrong line has an ignore with mypy's error code. mypy strict refuses an ignore without an error, so this file
passes only while mypy sees every mistake.
"""

from hocket import Death, Event, Heard, Scheduled, Service, Tx
from tests.typing.payments import (
    OrderPlaced,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    StockRejected,
    Uses,
    charge,
    payments,
)

fraud = Service("fraud", owner="team-risk")


class Other(Heard, type="x.y"):
    """Something heard."""

    a: str


class PaymentFlagged(Event, type="fraud.payment_flagged", subject="order/{order_id}"):
    """Something said."""

    order_id: str


def n1() -> None:
    """A bare `Tx` in a service that uses things."""

    @payments.handler  # type: ignore[arg-type]
    async def take(e: Other, tx: Tx) -> None: ...


def n2() -> None:
    """Says an event that it only hears."""

    @payments.handler  # type: ignore[type-var]
    async def take(e: Other, tx: Tx[Uses]) -> Other:
        return e


def n3() -> None:
    """Hears something that is not an event."""

    @payments.handler  # type: ignore[type-var]
    async def take(e: str, tx: Tx[Uses]) -> None: ...


def n4() -> None:
    """A misspelt option."""

    @payments.handler(retyr=3)  # type: ignore[call-overload, untyped-decorator]
    async def take(e: Other, tx: Tx[Uses]) -> None: ...


async def n5(e: Other, tx: Tx[Uses]) -> PaymentCharged:
    """Returns an event that it does not declare."""
    return PaymentDeclined(order_id="", reason="")  # type: ignore[return-value]


def n6() -> None:
    """An undo without the case in which the result is unknown."""

    @payments.undo(charge, PaymentCharged)  # type: ignore[arg-type]
    async def take(o: OrderPlaced, c: PaymentCharged, w: StockRejected, tx: Tx[Uses]) -> None: ...


def n7() -> None:
    """Undoes an event that the step does not say: refused at import only."""

    @payments.undo(charge, PaymentRefunded)
    async def take(o: OrderPlaced, c: PaymentRefunded | None, w: StockRejected, tx: Tx[Uses]) -> None: ...


def n8() -> None:
    """An `on_dead` with another input than the handler's."""

    @payments.on_dead(charge)  # type: ignore[arg-type]
    def take(o: Other, d: Death) -> PaymentDeclined:
        return PaymentDeclined(order_id="", reason="")


def n9() -> None:
    """A handler that is not async."""

    @payments.handler  # type: ignore[arg-type]
    def take(e: Other, tx: Tx[Uses]) -> None: ...


async def n10(e: Other, tx: Tx[Uses]) -> PaymentCharged | None:  # type: ignore[return]
    """Does not return the event that it declares."""
    PaymentCharged(order_id="", charge_id="")


def n11() -> Scheduled[PaymentFlagged]:
    """A schedule with neither `at` nor `after`."""
    return Scheduled(PaymentFlagged(order_id=""), key="a")  # type: ignore[call-overload, no-any-return]


def n12() -> None:
    """Has no return annotation."""

    @fraud.handler
    async def take(e: Other, tx: Tx):  # type: ignore[no-untyped-def]
        return None


async def n13(tx: Tx[Uses], o: OrderPlaced) -> None:
    """A call by keyword, which a decorated handler does not take."""
    await charge(order=o, tx=tx)  # type: ignore[call-arg]


def n14(o: OrderPlaced) -> None:
    """Sets a field of an event."""
    o.order_id = "x"  # type: ignore[misc]


def n15() -> None:
    """Undoes another service's step."""

    @fraud.undo(charge, PaymentCharged)  # type: ignore[arg-type]
    async def take(o: OrderPlaced, c: PaymentCharged | None, w: Other, tx: Tx) -> None: ...


def n16() -> None:
    """An upcast into something that is not an event."""

    @payments.upcast  # type: ignore[type-var]
    def take(old: Other) -> str:
        return old.a


def n17() -> None:
    """A former name that is not a name."""

    @payments.handler(formerly=3)  # type: ignore[call-overload, untyped-decorator]
    async def take(e: Other, tx: Tx[Uses]) -> None: ...


def n18() -> None:
    """An older version that is another event."""

    @payments.also_says  # type: ignore[type-var]
    def take(new: PaymentCharged) -> Other:
        return Other(a=new.order_id)
