"""The declared objects, their names and arguments; and which existing ones are no longer declared."""

from hocket.broker import topology
from hocket.broker.leftovers import BrokerObjects, Leftover, leftovers
from hocket.broker.topology import HEARD, Binding, Exchange, kit, of_service, routing_key


def test_the_kits_objects() -> None:
    """docs/wire.md#broker-objects: events go to the log and to what hears; what nobody hears is kept in a stream."""
    kit = topology.kit()
    kinds = {exchange.name: exchange.kind for exchange in kit.exchanges}
    assert kinds == {
        "hocket.events": "topic", "hocket.heard": "topic", "hocket.unheard": "fanout", "hocket.receipts": "fanout",
        "hocket.dead": "topic",
    }  # fmt: skip
    heard = next(exchange for exchange in kit.exchanges if exchange.name == "hocket.heard")
    assert heard.arguments == {"alternate-exchange": "hocket.unheard"}
    assert [queue.name for queue in kit.queues if queue.stream] == ["hocket.log", "hocket.receipts", "hocket.unheard"]
    assert set(kit.bindings) == {
        Binding("hocket.events", "hocket.log", "#"),
        Binding("hocket.events", "hocket.heard", "#", to_exchange=True),
        Binding("hocket.unheard", "hocket.unheard"),
        Binding("hocket.receipts", "hocket.receipts"),
        Binding("hocket.dead", "hocket.dead", "#"),
    }


def test_an_exchange_comes_before_what_names_it() -> None:
    """Objects are declared in order: an alternate exchange before the exchange that names it."""
    names = [exchange.name for exchange in topology.kit().exchanges]
    assert names.index("hocket.unheard") < names.index("hocket.heard")


def test_streams_are_bounded() -> None:
    """Each stream is bounded by age and size, with segments small enough to be dropped."""
    for queue in topology.kit().queues:
        if queue.stream:
            assert queue.arguments["x-max-age"] == topology.STREAM_MAX_AGE
            size = queue.arguments["x-max-length-bytes"]
            assert isinstance(size, int)
            assert size > 10 * topology.STREAM_SEGMENT_BYTES


def test_the_dead_are_never_dropped() -> None:
    """Reading a letter often must not drop it: its queue's delivery limit is out of reach."""
    dead = next(queue for queue in topology.kit().queues if queue.name == "hocket.dead")
    assert dead.arguments == {"x-queue-type": "quorum", "x-delivery-limit": topology.DEAD_DELIVERY_LIMIT}


def test_a_services_own_objects() -> None:
    """docs/wire.md: a quorum queue for each subscription, bound to what it hears and to the service's exchange."""
    own = of_service("payments", [("payments.charge", ["order.placed.v1", "order.placed.v2"])])
    assert own.exchanges == (Exchange("payments", "direct"),)
    assert own.bindings == (
        Binding("payments", "payments.charge", "payments.charge"),
        Binding("hocket.heard", "payments.charge", "order.placed.v1"),
        Binding("hocket.heard", "payments.charge", "order.placed.v2"),
    )


def test_a_subscription_dead_letters_at_least_once_and_has_no_bound() -> None:
    """RULES 1.7: subscriptions have no max-length; beyond the delivery limit they dead-letter without loss."""
    queue = of_service("payments", [("payments.charge", [])]).queues[0]
    assert queue.arguments == {
        "x-queue-type": "quorum", "x-dead-letter-exchange": "hocket.dead",
        "x-dead-letter-routing-key": "payments.charge", "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish", "x-delivery-limit": topology.DELIVERY_LIMIT,
    }  # fmt: skip
    assert not queue.stream


def test_the_delivery_limit_is_no_budget_of_attempts() -> None:
    """RULES 1.3: each stop that returns a delivery raises its count, so the limit is far above any budget."""
    assert topology.DELIVERY_LIMIT >= 1000


def test_topologies_add_up() -> None:
    """The kit's objects and those of services are declared as one, in order."""
    one = of_service("a", [("a.x", ["t.v1"])])
    other = of_service("b", [("b.y", ["t.v1"])])
    assert (one + other).queues == one.queues + other.queues
    assert (one + other).exchanges == one.exchanges + other.exchanges
    assert (one + other).bindings == one.bindings + other.bindings


def test_a_version_has_its_own_routing_key() -> None:
    """RULES 10.1: each version has its own routing key."""
    assert routing_key("payment.charged", 2) == "payment.charged.v2"


PAYS = of_service("pays", [("pays.charge", ["order.placed.v2"])], [("pays.charge", "pays.bill")])


def found(*, queues: tuple[str, ...] = (), bindings: tuple[Binding, ...] = ()) -> BrokerObjects:
    """What the kit and `pays` declare, and these further objects."""
    whole = kit() + PAYS
    return BrokerObjects(
        (*(each.name for each in whole.queues), *queues),
        (Binding("", "pays.charge", "pays.charge"), *whole.bindings, *bindings),
    )


def test_what_is_declared_is_heard() -> None:
    """RULES 10.2: nothing of the kit, of another service, or of a name that begins alike counts as unheard."""
    others = ("payslips.print", "orders.place", "pays", "charge")
    made = tuple(Binding(HEARD, name, "order.placed.v1") for name in others)
    assert leftovers("pays", PAYS, ("pays.bill",), found(queues=others, bindings=made)) == []


def test_a_version_that_nobody_reads_is_unheard() -> None:
    """RULES 10.2: a binding of a queue of ours that its handler does not declare, each with why."""
    old, call = Binding(HEARD, "pays.charge", "order.placed.v1"), Binding("pays", "pays.charge", "pays.take")
    assert leftovers("pays", PAYS, ("pays.bill",), found(bindings=(old, call))) == [
        Leftover("pays.charge reads no order.placed.v1", (old,)),
        Leftover("pays.charge is not and was not called 'pays.take'", (call,)),
    ]


def test_a_queue_without_a_handler_is_unheard_with_its_bindings() -> None:
    """RULES 10.2: a removed handler leaves a queue; its bindings are listed with it, and not a second time."""
    bound = (
        Binding(HEARD, "pays.refund", "order.placed.v2"), Binding("pays", "pays.refund", "pays.refund"),
        Binding("legacy", "pays.refund", "x"),
    )  # fmt: skip
    left = found(queues=("pays.refund",), bindings=(Binding("", "pays.refund", "pays.refund"), *bound))
    assert leftovers("pays", PAYS, ("pays.bill",), left) == [
        Leftover("no handler of pays has this name", bound, "pays.refund")
    ]


def test_former_names_are_left_alone() -> None:
    """RULES 10.2: an older version may consume the queue of a former name: it is kept with all its bindings."""
    bound = (Binding(HEARD, "pays.bill", "order.placed.v1"), Binding("pays", "pays.bill", "pays.bill"))
    assert leftovers("pays", PAYS, ("pays.bill",), found(queues=("pays.bill",), bindings=bound)) == []


def test_bindings_of_other_exchanges_are_left_alone() -> None:
    """RULES 10.2: bindings that others made from their exchanges to our queues, or from ours to theirs, are kept."""
    made = (Binding("legacy", "pays.charge", "x"), Binding("pays", "tap", "pays.charge"), Binding(HEARD, "tap", "#"))
    assert leftovers("pays", PAYS, (), found(queues=("tap",), bindings=made)) == []


def test_names_reserved_for_a_subscription_of_several_queues_are_left_alone() -> None:
    """`SERVICE.HANDLER.NUMBER` is reserved; a name that only looks like it is a leftover as before."""
    kept = ("pays.charge.0", "pays.charge.12")
    gone = ("pays.charge.x1", "pays.7")
    assert [each.queue for each in leftovers("pays", PAYS, (), found(queues=kept + gone))] == sorted(gone)
