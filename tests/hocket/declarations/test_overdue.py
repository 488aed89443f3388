"""Declaring a time-out: what is refused at import, and what a service tells of it."""

from datetime import timedelta
from typing import Any

import pytest

from hocket import Event, Heard, Service, Tx
from hocket.errors import DeclarationError

HOUR = timedelta(hours=1)


class Placed(Heard, type="till.placed"):
    """Arms."""

    order: int
    shop: str
    note: str | None = None


class Paid(Heard, type="bank.paid"):
    """Answers."""

    order: int
    shop: int


class PaidToo(Heard, type="bank.paid"):
    """Reads the same."""

    order: int


class Refunded(Heard, type="bank.refunded"):
    """Has no order."""


class Cancelled(Event, type="shop.cancelled", subject="order/{order}"):
    """What a time-out says."""

    order: int


def declared(within: Any = HOUR, **options: Any) -> Service[None]:
    """A service with one time-out."""
    service = Service("shop", owner="tests")
    options = {"unless": Paid} | options

    @service.overdue(within, **options)
    async def unpaid(order: Placed, tx: Tx) -> Cancelled:
        return Cancelled(order=order.order)

    return service


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"within": 60}, "is not a time to wait; give a timedelta"),
    ({"within": timedelta(0)}, "is not a time to wait; give a timedelta"),
    ({"unless": ()}, "nothing answers this time-out; give unless="),
    ({"unless": int}, "unless=int is not an event"),
    ({"unless": (Paid, PaidToo)}, "Paid and PaidToo both read bank.paid version 1; keep one"),
    ({"by": 3}, "by=3 does not name fields"),
    ({"by": "orders"}, "by='orders' must be a field of what arms and of what answers, but Placed has no such field"),
    ({"by": "order", "unless": Refunded}, "but Refunded has no such field"),
    ({"by": "shop"}, "compares Placed.shop with Paid.shop, which are declared differently"),
    ({"by": "note", "unless": Placed}, "Placed.note is str | None"),
    ({"across": True}, "across=True needs by="),
    ({"across": "yes", "by": "order"}, "across='yes' is neither True nor False"),
    ({"late": "ignored"}, "late='ignored' is unknown; give"),
    ({"idempotent": True}, "idempotent=True writes no inbox row"),
    ({"unles": Paid}, "unles= is unknown"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_at_import(options: dict[str, Any], sentence: str) -> None:
    """RULES 5.7: the sentence names the time-out and the way out."""
    with pytest.raises(DeclarationError, match=r"shop\.unpaid") as refused:
        declared(**options)
    assert sentence in str(refused.value)


def test_its_queue_hears_what_arms_and_what_answers() -> None:
    """RULES 5.7: a watch is bound once to what does both."""
    service = declared(by="order", across=True, late="accepted")
    [each] = service.declarations.subscriptions.values()
    assert each.bound == (("till.placed", 1), ("bank.paid", 1))
    manifest: Any = service.declarations.manifest()
    assert manifest["subscriptions"][0]["overdue"] == {
        "within": 3600.0,
        "unless": [["bank.paid", 1]],
        "across": True,
        "late": "accepted",
    }
    [watch] = declared(unless=(Placed, Paid)).declarations.subscriptions.values()
    assert watch.bound == (("till.placed", 1), ("bank.paid", 1))


def test_a_time_out_has_no_undo() -> None:
    """RULES 5.7: what it says may begin steps that are undone."""
    service = declared()
    undo: Any = service.undo
    step: Any = service.declarations.subscriptions["shop.unpaid"].call

    async def back(order: Placed, did: Cancelled | None, why: Paid, tx: Tx) -> None: ...

    with pytest.raises(DeclarationError, match=r"shop\.unpaid is a time-out, which no undo undoes"):
        undo(step, Cancelled)(back)
