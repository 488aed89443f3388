"""The port to the broker. A driver moves bytes; it decides nothing about events.

Promises every driver keeps (the contract suite is `hocket.testing.transport_contract`):

- `Deliver` is called on the event loop, must not block and must not raise; it only enqueues
  (docs/house.md#the-way-of-a-delivery, intake).
- A handle is (channel epoch, tag). After a reconnect the epoch is higher, the driver consumes again by itself, and an
  `ack` or `give_back` of an older epoch is dropped without a word to the broker (RULES 1.1).
- `ack` and `give_back` are plain calls that cost no await; the driver joins acks over contiguous finished tags only.
- `publish` is persistent, confirmed and mandatory; it returns one verdict a message, in order, and raises nothing but
  `TransportError` when the transport was closed by us. Several calls may be under way at once. While the connection
  lives it waits for confirms without a bound (RULES 4.4); when the connection is lost all unconfirmed are UNKNOWN.
- A message that the broker refuses by its nature (exchange missing, no permission, too big) is REFUSED with the
  broker's words; its neighbours are not (RULES 4.3): the driver finds the culprit on a channel of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from hocket.broker.leftovers import BrokerObjects
from hocket.broker.topology import Binding, Topology

#: Headers of one message, all together, in bytes (RULES 1.6).
MAX_HEADER_BYTES = 32 * 1024

#: Header values that hocket sends: text and whole numbers only.
Headers = Mapping[str, str | int]


class Handle(NamedTuple):
    """What settles a delivery: tags start again in each epoch of a channel."""

    epoch: int
    tag: int


class Delivery(NamedTuple):
    """One message as it came from a queue; headers are data, never sent again as they are (RULES 1.5)."""

    queue: str
    handle: Handle
    body: bytes
    content_type: str = ""
    headers: Mapping[str, object] = MappingProxyType({})
    message_id: str = ""
    exchange: str = ""
    routing_key: str = ""
    redelivered: bool = False
    offset: int | None = None  # of a stream


class Message(NamedTuple):
    """One message to publish; the driver adds a `message_id` that is fresh for every publish, also of the same."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    headers: Headers = MappingProxyType({})
    type: str = ""
    correlation_id: str = ""
    app_id: str = ""
    timestamp: float = 0.0  # seconds since 1970; 0: none


class Verdict(StrEnum):
    """What the broker said to a published message."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # no queue took it
    NACKED = "nacked"  # the broker could not take it now
    REFUSED = "refused"  # never will, by its nature
    UNKNOWN = "unknown"  # the connection was lost before the answer: it may have arrived


class Published(NamedTuple):
    """The verdict on one message and, where it is not CONFIRMED, the reason in the broker's words."""

    verdict: Verdict
    reason: str = ""


class Link(NamedTuple):
    """Whether the broker is reachable, the sentence that says why not, and since when (monotonic seconds)."""

    ready: bool
    reason: str = ""
    since: float = 0.0


Deliver = Callable[[Delivery], None]


class Consumer(Protocol):
    """One consumer of one queue."""

    @property
    def epoch(self) -> int:
        """The present channel epoch: buffered deliveries of an older one need not be begun."""
        ...

    def ack(self, handles: Sequence[Handle]) -> None:
        """Settle; written at once or with the next acks, older epochs dropped."""
        ...

    def give_back(self, handles: Sequence[Handle]) -> None:
        """Return to the queue (`nack`, requeue); for stopping only (RULES 1.3)."""
        ...

    def limit(self, prefetch: int) -> None:
        """From soon on, hand over at most so many more before the first of them is settled; 0: none until raised.

        What was handed over before stays, can be settled, and may count among them. For queues, not for streams.
        """
        ...

    async def cancel(self) -> None:
        """No delivery comes after this returns; what was delivered can still be settled."""
        ...

    async def close(self) -> None:
        """After `cancel`: write what is settled, one round trip to the broker, close (RULES 1.2)."""
        ...


class Transport(Protocol):
    """A broker. `open` connects in the background and keeps connecting with backoff until `close`."""

    async def open(self) -> None:
        """Begin to connect; returns at once, `link` tells how it goes."""
        ...

    async def close(self) -> None:
        """Close both connections; publishes under way end UNKNOWN."""
        ...

    def link(self) -> Link:
        """The state of both connections, for readiness."""
        ...

    async def until_ready(self) -> None:
        """Return when both connections are up."""
        ...

    def on_ready(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run `call` after each (re)connect, before consumers start again."""
        ...

    async def declare(self, topology: Topology) -> None:
        """Declare on a channel of its own; only adds. `ConfigError` on 406: object, both values, the way out."""
        ...

    async def consume(self, queue: str, *, prefetch: int, deliver: Deliver, offset: int | None = None) -> Consumer:
        """Consume `queue`; for a stream `offset` is the first wanted, None the very first kept.

        With a stream each `ack` is credit, and after a reconnect it goes on behind the last delivered offset.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Publish all, pipelined; one verdict each, in order."""
        ...


class BrokerAdmin(Protocol):
    """The broker as it stands, and taking away what nobody hears; `ConfigError` where it cannot be asked."""

    async def found(self) -> BrokerObjects:
        """What stands in the virtual host."""
        ...

    async def unbind(self, binding: Binding) -> None:
        """Take one binding away; one that is gone already is no error."""
        ...

    async def remove(self, queue: str, bindings: Sequence[Binding]) -> str:
        """Take a queue away, these bindings first; else the sentence why it stays.

        One with a consumer stays with its bindings, one with messages without.
        """
        ...
