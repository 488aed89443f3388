"""The scopes that are visited: which saga, what arrives, and how often each kind of harm may happen."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from hocket import Heard
from hocket.broker.port import Message
from hocket.broker.topology import EVENTS, routing_key
from hocket.declarations.subscription import name_of
from hocket.envelope.cloudevent import CONTENT_TYPE, Envelope, encode
from tests.graph.graph import Scope
from tests.graph.processes import AT
from tests.graph.product import Product
from tests.graph.sagas import bureau as bureau_saga
from tests.graph.sagas import depot as depot_saga
from tests.graph.sagas import order as order_saga
from tests.graph.sagas.bureau import Asked, Beat
from tests.graph.sagas.depot import Ordered, Recalled
from tests.graph.sagas.order import OrderCancelled, OrderPlaced
from tests.graph.sagas.outside import DECLINED
from tests.graph.values import Harm, Queued, State

#: The flow in which everything begins, and one in which somebody cancels.
FLOW, OTHER = "0198c5b8-0000-7000-8000-000000000001", "0198c5b8-0000-7000-8000-000000000002"


def message(event: Heard, source: str, flow: str = FLOW, n: int = 1) -> Message:
    """The `n`-th event of this type about this thing, as another process says it."""
    type_, version = name_of(type(event))
    thing = next(iter(event.model_dump().values()))
    key = f"{type_} {thing} {n}"
    envelope = Envelope(
        id=key, source=source, type=type_, version=version, subject=f"thing/{thing}", time=AT, correlation_id=flow,
        idempotency_key=key, data=event.model_dump(mode="json"),
    )  # fmt: skip
    return Message(EVENTS, routing_key(type_, version), encode(envelope, heard=True), CONTENT_TYPE, type=type_)


def scope_of(saga: ModuleType, *messages: Message, own: frozenset[str] = frozenset(), **words: Any) -> Scope:
    """A scope in which these messages are on their way; the handlers of `own` end in transactions of their own."""
    product = Product(saga, own)
    posts = tuple(post for each in messages for post in product.posted(each))
    return Scope(product, posts, tuple(product.fact(each) for each in messages), **words)


def beyond(scope: Scope, type_: str, *later: Message) -> Scope:
    """The same scope from the state in which this was said first, one delivery after the other; what comes then."""
    calm = replace(scope, harm=Harm(dues=0))
    state = calm.first()
    while all(scope.product.facts.values[each].type != type_ for each in state.said):
        state = next(after for move, after in calm.moves(state) if move.startswith("A") and not move.endswith(DECLINED))
    posts = [post for each in later for post in scope.product.posted(each)]
    start = state._replace(
        queue=tuple(sorted((*state.queue, *(Queued(each) for each in posts)))),
        said=tuple(sorted((*state.said, *(scope.product.fact(each) for each in later)))),
    )
    return replace(scope, start=start)


def order_ended(product: Product, state: State) -> str:
    """An order ends shipped and paid for, or cancelled with nothing held, or somebody has a letter."""
    types = {product.facts.values[each].type for each in state.said}
    if "order.cancelled" in types or state.letters or "order.placed" not in types:
        return ""
    return "" if {"parcel.shipped", "payment.captured"} <= types else "the order has no end"


PLACED = message(OrderPlaced(order_id="1"), "/orders")
CANCELLED = message(OrderCancelled(order_id="1", by="customer"), "/orders", OTHER)


def order(*, cancelled: bool, declines: frozenset[str] = frozenset(), **harm: int) -> Scope:
    """The order saga."""
    messages = (PLACED, CANCELLED) if cancelled else (PLACED,)
    made = scope_of(order_saga, *messages, harm=Harm(**harm), declines=declines)
    uses_up = {"payments.capture": "payments.authorise"}
    return replace(made, blocks=True, uses_up=uses_up, ends=order_ended)


def depot(*events: Heard, own: frozenset[str] = frozenset(), **harm: int) -> Scope:
    """The depot, whose orders are recalled in another flow."""
    messages = [
        message(each, "/desk", OTHER if isinstance(each, Recalled) else FLOW, n) for n, each in enumerate(events)
    ]
    return scope_of(depot_saga, *messages, own=own, harm=Harm(**harm), declines=frozenset({"depot.pick"}))


def bureau(*events: Heard, **harm: int) -> Scope:
    """The bureau, whose time-out may come before its clerk."""
    return scope_of(bureau_saga, *(message(each, "/client", n=n) for n, each in enumerate(events)), harm=Harm(**harm))


A, B = {"parcel": "a"}, {"parcel": "b"}
ASKED, BEAT = Asked(case="1"), Beat(case="1")

Make = Callable[[], Scope]

#: Steps that the outside may decline.
DECLINES = frozenset({"payments.authorise", "inventory.reserve", "shipping.ship"})
AGAIN = message(OrderCancelled(order_id="1", by="customer"), "/orders", OTHER, 2)

#: Handlers that open a transaction of their own: a step and an undo.
OWN = frozenset({"depot.pick", "depot.put_back"})

#: What the suite visits.
SMALL: dict[str, Make] = {
    "order: a step dies unsure": lambda: order(cancelled=False, errors=2, dues=0),
    "order: a crash anywhere": lambda: order(cancelled=False, crashes=1, dues=0),
    "order: cancelled after delivery": lambda: beyond(order(cancelled=False, dues=0), "payment.captured", CANCELLED),
    "depot: recalled": lambda: depot(Ordered(**A), Recalled(**A)),
    "depot: recalled, unsure": lambda: depot(Ordered(**A), Recalled(**A), errors=1),
    "depot: recalled, a pause": lambda: depot(Ordered(**A), Recalled(**A), pauses=1),
    "depot: recalled, a stop": lambda: depot(Ordered(**A), Recalled(**A), stops=1),
    "depot: recalled, a commit without an answer": lambda: depot(Ordered(**A), Recalled(**A), unknown=1),
    "depot: recalled, own transactions": lambda: depot(Ordered(**A), Recalled(**A), own=OWN, errors=1),
    "bureau: a time-out and a clerk who dies": lambda: bureau(ASKED, errors=1),
    "bureau: its undo dies and is replayed": lambda: bureau(ASKED, errors=1, deaths=1, replays=1),
    "bureau: a watch, twice": lambda: bureau(BEAT, BEAT, crashes=1, dues=3),
}

#: What `python -m tests.graph` visits besides.
WHOLE: dict[str, Make] = SMALL | {
    "order: shipped in time or not": lambda: order(cancelled=False),
    "order: declined anywhere": lambda: order(cancelled=False, declines=DECLINES, dues=0),
    "order: late and unsure": lambda: order(cancelled=False, errors=1, dues=1),
    "order: cancelled once authorised": lambda: beyond(order(cancelled=False, dues=0), "payment.authorised", CANCELLED),
    "order: cancelled once confirmed": lambda: beyond(order(cancelled=False, dues=0), "order.confirmed", CANCELLED),
    "order: cancelled once shipped": lambda: beyond(order(cancelled=False, dues=0), "parcel.shipped", CANCELLED),
    "order: cancelled after delivery, a crash": lambda: beyond(
        order(cancelled=False, crashes=1, dues=0), "payment.captured", CANCELLED
    ),
    "order: cancelled after delivery, twice": lambda: beyond(
        order(cancelled=False, dues=0), "payment.captured", CANCELLED, AGAIN
    ),
    "order: its undos die and are replayed": lambda: beyond(
        order(cancelled=False, dues=0, deaths=2, replays=2), "payment.captured", CANCELLED
    ),
    "depot: recalled, a crash": lambda: depot(Ordered(**A), Recalled(**A), crashes=1),
    "depot: recalled, a delivery twice": lambda: depot(Ordered(**A), Recalled(**A), copies=1),
    "depot: recalled, a crash and unsure": lambda: depot(Ordered(**A), Recalled(**A), crashes=1, errors=1),
    "depot: recalled once picked, a crash and a pause": lambda: beyond(
        depot(Ordered(**A), crashes=1, pauses=1), "depot.picked", message(Recalled(**A), "/desk", OTHER)
    ),
    "depot: recalled, own transactions, a crash": lambda: depot(Ordered(**A), Recalled(**A), own=OWN, crashes=1),
    "depot: recalled, own transactions, a pause": lambda: depot(Ordered(**A), Recalled(**A), own=OWN, pauses=1),
    "depot: recalled twice": lambda: depot(Ordered(**A), Recalled(**A), Recalled(**A)),
    "depot: one of two is recalled": lambda: depot(Ordered(**A), Ordered(**B), Recalled(**B)),
    "depot: an undo dies and is replayed": lambda: depot(Ordered(**A), Recalled(**A), errors=1, deaths=1, replays=1),
    "depot: a letter is replayed": lambda: depot(Ordered(**A), Recalled(**A), errors=2, replays=1),
    "depot: a second order of one parcel": lambda: depot(Ordered(**A), Ordered(**A), Recalled(**A)),
    "depot: an undo dies, a pause": lambda: depot(Ordered(**A), Recalled(**A), pauses=1, deaths=1),
    "depot: an undo dies and is replayed, a crash": lambda: depot(
        Ordered(**A), Recalled(**A), crashes=1, deaths=1, replays=1
    ),
    "depot: recalled, two crashes": lambda: depot(Ordered(**A), Recalled(**A), crashes=2),
    "bureau: two pauses, unsure": lambda: bureau(ASKED, errors=1, pauses=2, dues=1),
    "bureau: a crash, a commit without an answer": lambda: bureau(ASKED, errors=1, crashes=1, unknown=1, dues=1),
    "bureau: a stop, its undo dies and is replayed": lambda: bureau(
        ASKED, errors=1, stops=1, deaths=1, replays=1, dues=1
    ),
    "bureau: a watch, a crash and a pause": lambda: bureau(BEAT, BEAT, crashes=1, pauses=1, dues=2),
    "bureau: a crash, a pause, unsure": lambda: bureau(ASKED, errors=1, crashes=1, pauses=1, dues=1),
    "bureau: a delivery twice, unsure": lambda: bureau(ASKED, errors=1, copies=1),
    "bureau: a watch, a crash and a double": lambda: bureau(BEAT, crashes=1, copies=1, dues=3),
}
