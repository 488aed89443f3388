"""Findings of `hocket check` about undos: failures that come in another flow, scopes that come more than once."""

from typing import Any

import pytest

from hocket import Event, Heard, Service, Tx
from hocket.declarations.findings.finding import Finding
from hocket.declarations.findings.flows import Flows
from hocket.declarations.findings.undos import undo_findings


class Placed(Event, type="order.placed", subject="order/{order}"):
    order: str
    customer: str


class Withdrawn(Event, type="order.withdrawn", subject="order/{order}"):
    order: str
    customer: str


class Complained(Event, type="customer.complained", subject="customer/{customer}"):
    order: str
    customer: str


class OrderPlaced(Heard, type="order.placed"):
    order: str
    customer: str


class OrderWithdrawn(Heard, type="order.withdrawn"):
    order: str
    customer: str


class CustomerComplained(Heard, type="customer.complained"):
    order: str
    customer: str


class Charged(Event, type="payment.charged", subject="order/{order}"):
    order: str
    customer: str


async def charge(placed: OrderPlaced, tx: Tx) -> Charged | None:
    """The step."""


class Sent(Event, type="parcel.sent", subject="order/{order}"):
    order: str
    customer: str


class Arrived(Event, type="parcel.arrived", subject="order/{order}"):
    order: str
    customer: str


async def send(charged: Charged, tx: Tx) -> Sent | None:
    """A step further on in the flow."""


async def recall(charged: Charged, did: Sent | None, why: OrderWithdrawn, tx: Tx) -> None:
    """Its undo."""


async def refund(placed: OrderPlaced, did: Charged | None, why: OrderWithdrawn, tx: Tx) -> None:
    """Its undo."""


async def withdraw_placed(placed: OrderPlaced, tx: Tx) -> Withdrawn | None:
    """Says the failure in the step's own flow."""


async def withdraw_complained(complained: CustomerComplained, tx: Tx) -> Withdrawn | None:
    """Says the failure in the flow of a complaint."""


def payments(**words: Any) -> Service:
    """The service with the step and its undo."""
    made = Service("payments", owner="team-money")
    made.handler(charge)
    made.undo(charge, Charged, **words)(refund)
    return made


def orders(*outside: type[Event], says: Any = None) -> Service:
    """The service that says the rest: `outside` handlers, or by a handler."""
    made = Service("orders", owner="team-shop")
    made.says(Placed, *outside)
    if says is not None:
        made.handler(says)
    return made


def found(*services: Service[Any]) -> list[Finding]:
    """The findings of these services together."""
    return list(undo_findings(Flows([each.declarations for each in services])))


def test_a_failure_said_outside_handlers_is_found() -> None:
    """RULES 5.1, `undo-flow`: it comes in a flow of its own, and an undo without across= is never reached by it."""
    [finding] = found(orders(Withdrawn), payments(by="order"))
    assert finding.code == "undo-flow"
    assert finding.sentence.startswith(
        "payments.refund hears order.withdrawn, which orders says outside handlers: in a flow of its own it "
        "does not reach payments.charge"
    )
    assert finding.way_out.startswith("add across=True")
    assert found(orders(Withdrawn), payments(by="order", across=True)) == []


def test_a_failure_that_comes_of_another_flow_is_found() -> None:
    """RULES 5.1, `undo-flow`: a handler says it, in a flow that something else begins."""
    [finding] = found(orders(Complained, says=withdraw_complained), payments(by="order"))
    assert finding.code == "undo-flow"
    assert "order.withdrawn, which comes of customer.complained, with which orders begins a flow" in finding.sentence
    assert found(orders(says=withdraw_placed), payments(by="order")) == []


def test_what_other_services_say_is_no_finding() -> None:
    """RULES 5.1: alone a service does not know who says the failure where."""
    assert found(payments(by="order")) == []


def test_a_scope_that_comes_more_than_once_is_found() -> None:
    """RULES 5.1, `scope-once`: across by the customer, who is the subject of other flows too."""
    [finding] = found(orders(Complained, says=withdraw_placed), payments(by="customer", across=True))
    assert finding.code == "scope-once"
    assert finding.sentence.startswith(
        "payments.refund is across=True by customer, the subject of customer.complained of orders"
    )
    assert finding.way_out == "add the field that names what happens once to by="


class Watched(Heard, type="payment.watched"):
    order: str
    customer: str


class WatchedSaid(Event, type="payment.watched", subject="order/{order}"):
    order: str
    customer: str


async def watch_placed(placed: OrderPlaced, tx: Tx) -> WatchedSaid | None:
    """A step between the beginning and the step with the undo."""


async def charge_watched(watched: Watched, tx: Tx) -> Charged | None:
    """The step, which does not hear what begins its flow."""


async def refund_watched(watched: Watched, did: Charged | None, why: OrderWithdrawn, tx: Tx) -> None:
    """Its undo."""


class Delivered(Event, type="parcel.delivered", subject="order/{order}"):
    order: str
    customer: str


def test_a_step_later_in_its_flow_keeps_the_scope_of_the_beginning() -> None:
    """RULES 5.1: the order is what its flow is about, and another flow about the same order repeats nothing."""
    made = Service("payments", owner="team-money")
    made.handler(charge_watched)
    made.undo(charge_watched, Charged, by="order", across=True)(refund_watched)
    shop = orders(Delivered, Withdrawn, says=watch_placed)
    assert found(shop, made) == []


@pytest.mark.parametrize("by", ["order", ("customer", "order")])
def test_a_scope_that_names_what_happens_once_is_no_finding(by: str | tuple[str, ...]) -> None:
    """RULES 5.1: the order is what its own flow is about; two fields are no subject of a flow about one."""
    assert found(orders(Complained, says=withdraw_placed), payments(by=by, across=True)) == []


@pytest.mark.parametrize(("by", "lines"), [("order", 0), ("customer", 1)])
def test_a_step_further_on_belongs_to_what_its_flow_began_with(by: str, lines: int) -> None:
    """RULES 5.1, `scope-once`: its input comes of the order, so another flow about that order is no second input."""
    parcels = Service("parcels", owner="team-parcels")
    parcels.handler(send)
    parcels.undo(send, Sent, by=by, across=True)(recall)
    parcels.says(Arrived)
    assert len(found(orders(Withdrawn, Complained), payments(by="order", across=True), parcels)) == lines


def test_where_the_input_comes_from_nowhere_it_knows_of_no_second() -> None:
    """RULES 5.1: alone a service does not know what begins the flows of its step."""
    parcels = Service("parcels", owner="team-parcels")
    parcels.handler(send)
    parcels.undo(send, Sent, by="order", across=True)(recall)
    parcels.says(Arrived)
    assert found(parcels) == []
