"""Versions of one event: upcasts from old to new, downcasts from new to old, and what is refused."""

from datetime import UTC, datetime
from typing import cast

import pytest

from hocket import Event, Heard, Service, Tx
from hocket.declarations.versions import Downcast, Upcast, older_of, older_types, upcast_paths
from hocket.envelope import CONTENT_TYPE, read
from hocket.errors import DeclarationError
from hocket.event import Sensitive


class PlacedV1(Heard, type="order.placed"):
    order_id: str


class PlacedV2(Heard, type="order.placed", version=2):
    order_id: str
    cents: int


class Placed(Heard, type="order.placed", version=3):
    order_id: str
    cents: int
    currency: Sensitive[str]


class Cancelled(Heard, type="order.cancelled"):
    order_id: str


class BilledV1(Event, type="bill.sent", subject="order/{order_id}"):
    order_id: str


class BilledV2(Event, type="bill.sent", version=2, subject="order/{order_id}"):
    order_id: str
    cents: int


class Billed(Event, type="bill.sent", version=3, subject="order/{order_id}"):
    order_id: str
    cents: int
    currency: str


def first_to_second(old: PlacedV1) -> PlacedV2:
    return PlacedV2(order_id=old.order_id, cents=0)


def second_to_third(old: PlacedV2) -> Placed:
    return Placed(order_id=old.order_id, cents=old.cents, currency="EUR")


def third_as_second(new: Billed) -> BilledV2:
    return BilledV2(order_id=new.order_id, cents=new.cents)


def second_as_first(new: BilledV2) -> BilledV1:
    return BilledV1(order_id=new.order_id)


def third_as_first(new: Billed) -> BilledV1:
    return BilledV1(order_id=new.order_id)


UPCASTS: dict[type[Heard], Upcast] = {
    PlacedV1: Upcast(PlacedV2, first_to_second),
    PlacedV2: Upcast(Placed, second_to_third),
}


def test_upcasts_join_into_a_chain() -> None:
    """RULES 10.1: every version from which steps lead to the model is read, and read as that model."""
    body = b'{"specversion":"1.0","id":"1","source":"/x","type":"order.placed","data":{"order_id":"1"}}'
    received = read(body, CONTENT_TYPE, {}, datetime.now(UTC))
    paths = upcast_paths((Placed,), UPCASTS)
    assert list(paths) == [("order.placed", 3), ("order.placed", 1), ("order.placed", 2)]
    assert paths["order.placed", 1].read(received) == Placed(order_id="1", cents=0, currency="EUR")
    assert paths["order.placed", 3].upcasts == ()


def test_a_version_with_its_own_model_takes_no_upcast() -> None:
    """RULES 10.1: a handler that hears the old version gets the old version."""
    paths = upcast_paths((Placed, PlacedV2), UPCASTS)
    assert paths["order.placed", 2].gives is PlacedV2
    assert paths["order.placed", 1].gives is PlacedV2
    assert upcast_paths((Cancelled,), UPCASTS).keys() == {("order.cancelled", 1)}


def test_downcasts_join_into_a_chain() -> None:
    """RULES 10.1: an older version that is made by a downcast is downcast again."""
    made: dict[type[Event], list[Downcast]] = {
        Billed: [Downcast(BilledV2, third_as_second)],
        BilledV2: [Downcast(BilledV1, second_as_first)],
    }
    said = Billed(order_id="1", cents=2, currency="EUR")
    assert list(older_of(said, made)) == [BilledV2(order_id="1", cents=2), BilledV1(order_id="1")]
    assert list(older_types(Billed, made)) == [BilledV2, BilledV1]


def service() -> Service[None]:
    """A service that hears the newest and says the newest."""
    made = Service("billing", owner="team-money")

    @made.handler
    async def bill(order: Placed, tx: Tx) -> Billed:
        return Billed(order_id=order.order_id, cents=order.cents, currency=order.currency)

    return made


def test_old_versions_are_bound_and_reported() -> None:
    """RULES 10.1: a subscription binds every version that its model or its upcasters read, and the manifest says so."""
    made = service()
    made.upcast(second_to_third)
    made.upcast(first_to_second)
    made.also_says(third_as_second)
    made.complete()
    [bill] = made.declarations.subscriptions.values()
    assert set(bill.bound) == {("order.placed", 1), ("order.placed", 2), ("order.placed", 3)}
    manifest = made.declarations.manifest()
    assert manifest["says"] == [["bill.sent", 3], ["bill.sent", 2]]
    assert manifest["sensitive"] == {"order.placed/3": ["currency"]}
    [told] = cast(list[dict[str, list[list[object]]]], manifest["subscriptions"])
    assert sorted(told["hears"]) == [["order.placed", 1], ["order.placed", 2], ["order.placed", 3]]
    assert told["says"] == [["bill.sent", 3], ["bill.sent", 2]]


def test_two_paths_for_one_version_are_refused() -> None:
    """RULES 10.1: the result would depend on the order of declarations."""
    made = service()
    made.upcast(first_to_second)

    def first_to_third(old: PlacedV1) -> Placed:
        return Placed(order_id=old.order_id, cents=0, currency="EUR")

    with pytest.raises(
        DeclarationError, match=r"order.placed version 1 is read by an upcast already, .*; keep one of them"
    ):
        made.upcast(first_to_third)
    made.also_says(third_as_first)
    made.says(BilledV2)
    with pytest.raises(
        DeclarationError, match=r"bill.sent version 1 is made by an also_says already, .*; keep one of them"
    ):
        made.also_says(second_as_first)
    made.complete()


def test_invalid_versions_are_refused() -> None:
    """Another type, a version that is not older, a union, an async function, a downcast of an event nobody says."""
    made = service()

    def other(old: Cancelled) -> Placed:
        return Placed(order_id=old.order_id, cents=0, currency="EUR")

    def back(old: Placed) -> PlacedV1:
        return PlacedV1(order_id=old.order_id)

    def unions(old: PlacedV1 | PlacedV2) -> Placed:
        return Placed(order_id=old.order_id, cents=0, currency="EUR")

    async def later(old: PlacedV1) -> Placed:
        return Placed(order_id=old.order_id, cents=0, currency="EUR")

    with pytest.raises(DeclarationError, match="give two versions of one event the same type"):
        made.upcast(other)
    with pytest.raises(DeclarationError, match="give the older one the lower version"):
        made.upcast(back)
    with pytest.raises(DeclarationError, match=r"is not one subclass of Heard; write def NAME\(old: A\) -> B"):
        made.upcast(unions)
    with pytest.raises(DeclarationError, match="is not a plain function"):
        made.upcast(later)  # type: ignore[type-var]  # what a type checker refuses as well
    made.also_says(second_as_first)
    with pytest.raises(DeclarationError, match="older version of BilledV2, which this service does not say"):
        made.complete()


@pytest.mark.parametrize("formerly", ["Bill", "", 3, (), ("a", "a"), ("bill",), "bill"])
def test_an_invalid_former_name_is_refused(formerly: object) -> None:
    """RULES 2.4: a former name is a name, and not the present one."""
    made = Service("billing", owner="team-money")

    async def bill(order: Placed, tx: Tx) -> None: ...

    with pytest.raises(DeclarationError, match=r"formerly="):
        made.handler(formerly=formerly)(bill)  # type: ignore[call-overload]  # what must not be possible


def test_a_former_name_belongs_to_one_handler() -> None:
    """RULES 2.4: keys are derived from it, so no other handler may have it."""
    made = service()

    async def charge(order: Placed, tx: Tx) -> None: ...

    with pytest.raises(DeclarationError, match=r"billing\.bill is or was the name of billing\.bill"):
        made.handler(formerly="bill")(charge)
