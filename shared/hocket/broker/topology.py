"""The exchanges, queues and bindings that a process declares (docs/wire.md#broker-objects). Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

EVENTS = "hocket.events"
HEARD = "hocket.heard"
UNHEARD = "hocket.unheard"
LOG = "hocket.log"
RECEIPTS = "hocket.receipts"
DEAD = "hocket.dead"
#: Routing key of a marker, which a service sends by its own exchange into the log (RULES 7.5 b).
MARKER = "hocket.marker"

#: Types and versions whose routing key is cached.
KNOWN_KEYS = 1024
#: Names that no service may take.
RESERVED = frozenset({"hocket", "amq"})
#: Last resort against a delivery that repeats for ever; retries are made by the kit (RULES 1.3).
DELIVERY_LIMIT = 1000
#: Dead letters must survive being read often; without an explicit limit RabbitMQ 4 drops a message after 20 reads.
DEAD_DELIVERY_LIMIT = 2_000_000_000
#: How long streams keep messages, and how many bytes.
STREAM_MAX_AGE = "7D"
STREAM_MAX_BYTES = 20_000_000_000
STREAM_SEGMENT_BYTES = 100_000_000

Arguments = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange, durable; `kind` is topic, direct or fanout."""

    name: str
    kind: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, durable; the arguments say whether it is a quorum queue or a stream."""

    name: str
    arguments: Arguments = field(default_factory=dict)

    @property
    def stream(self) -> bool:
        """Whether it is a stream."""
        return self.arguments.get("x-queue-type") == "stream"


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding from exchange `source` to a queue, or to an exchange where `to_exchange`."""

    source: str
    destination: str
    key: str = ""
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """Objects in the order in which they are declared: exchanges, queues, bindings."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()

    def __add__(self, other: "Topology") -> "Topology":
        return Topology(self.exchanges + other.exchanges, self.queues + other.queues, self.bindings + other.bindings)


@lru_cache(maxsize=KNOWN_KEYS)
def routing_key(type: str, version: int) -> str:
    """The key under which an event travels: `payment.charged.v1`."""
    return f"{type}.v{version}"


def _stream(name: str) -> Queue:
    return Queue(
        name,
        {
            "x-queue-type": "stream",
            "x-max-age": STREAM_MAX_AGE,
            "x-max-length-bytes": STREAM_MAX_BYTES,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        },
    )


def kit() -> Topology:
    """The kit's own objects, declared by every process."""
    return Topology(
        exchanges=(
            Exchange(UNHEARD, "fanout"),
            Exchange(HEARD, "topic", {"alternate-exchange": UNHEARD}),
            Exchange(EVENTS, "topic"),
            Exchange(RECEIPTS, "fanout"),
            Exchange(DEAD, "topic"),
        ),
        queues=(
            _stream(LOG),
            _stream(RECEIPTS),
            _stream(UNHEARD),
            Queue(DEAD, {"x-queue-type": "quorum", "x-delivery-limit": DEAD_DELIVERY_LIMIT}),
        ),
        bindings=(
            Binding(EVENTS, LOG, "#"),
            Binding(EVENTS, HEARD, "#", to_exchange=True),
            Binding(UNHEARD, UNHEARD),
            Binding(RECEIPTS, RECEIPTS),
            Binding(DEAD, DEAD, "#"),
        ),
    )


def history_queue(queue: str) -> str:
    """The queue of what is tried again of the history of a subscription, by the name of the subscription's own."""
    return f"{queue}.history"


def history_of(service: str, queues: Collection[str], ordered: Collection[str] = ()) -> Topology:
    """What these subscriptions of a service need beside their queues to read history (RULES 7.5).

    Of those that are `ordered` everything comes again to their own queue.
    """
    own = tuple((queue, history_queue(queue)) for queue in queues if queue not in ordered)
    if not queues:
        return Topology()
    made = tuple(Queue(name, _of_subscription(queue)) for queue, name in own)
    bindings = tuple(Binding(service, name, name) for _, name in own)
    return Topology((), made, (Binding(service, LOG, MARKER), *bindings))


def _of_subscription(queue: str) -> Arguments:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }


def of_service(
    service: str,
    subscriptions: Iterable[tuple[str, Iterable[str]]],
    former: Iterable[tuple[str, str]] = (),
    ordered: Collection[str] = (),
) -> Topology:
    """A service's own objects: `subscriptions` are (queue name `SERVICE.HANDLER`, routing keys it hears).

    `former` are (queue, a name that queue had): what was addressed to the old name arrives at the new one too.
    `ordered` are those queues that one consumer takes at a time (RULES 9.1).
    """
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for queue, keys in subscriptions:
        arguments = _of_subscription(queue)
        if queue in ordered:
            arguments["x-single-active-consumer"] = True
        queues.append(Queue(queue, arguments))
        bindings.append(Binding(service, queue, queue))
        bindings.extend(Binding(HEARD, queue, key) for key in keys)
    bindings.extend(Binding(service, queue, name) for queue, name in former)
    return Topology((Exchange(service, "direct"),), tuple(queues), tuple(bindings))
