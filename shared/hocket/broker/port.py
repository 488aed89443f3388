"""The port to the broker: publishing, subscribing, administering. A driver moves bytes and decides nothing.

`Publishing`, `Subscribing` and `Administering` are what most callers need; `Transport` is their sum, for those who
open and close it. Promises that every driver keeps (the contract suite is `hocket.testing.transport_contract`):

- `Deliver` is called on the event loop, must not block and must not raise; it only enqueues
  (docs/house.md#the-way-of-a-delivery, intake).
- A handle is (channel epoch, tag). After a reconnect the epoch is higher and the driver consumes again by itself. An
  `ack` or `give_back` for an older epoch is ignored: the broker is not told (RULES 1.1).
- `ack` and `give_back` are plain calls without an await; the driver joins acks over contiguous finished tags only.
- `publish` is persistent, confirmed and mandatory. It returns one verdict for each message, in order, and raises
  nothing but `TransportError` when the transport was closed by this process. Several calls may be pending at once.
  While the connection lives it waits for confirms without a time limit (RULES 4.4); when the connection is lost, all
  unconfirmed messages are UNKNOWN.
- A message that the broker can never accept (exchange missing, no permission, too big) is REFUSED with the broker's
  words; other messages of the batch are not (RULES 4.3): the driver finds the refused one on a separate channel.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from hocket.broker.leftovers import BrokerObjects
from hocket.broker.topology import Binding, Topology

#: Largest sum of the headers of one message, in bytes (RULES 1.6).
MAX_HEADER_BYTES = 32 * 1024

#: In place of an offset of a stream: only what is published from now on; from the last chunk that is kept.
NEXT, LAST = -1, -2

#: Header values that hocket sends: text and whole numbers only.
Headers = Mapping[str, str | int]
#: Where the reading of a stream begins: at an offset (or `NEXT`, `LAST`), or at the chunk that was written at a moment.
Start = int | datetime


class Handle(NamedTuple):
    """Identifies a delivery when it is settled; tags start again in each epoch of a channel."""

    epoch: int
    tag: int


class Delivery(NamedTuple):
    """One message as received from a queue; its headers are data and are never published again as is (RULES 1.5)."""

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
    """One message to publish; the driver adds a `message_id` that is new for every publish, also of the same one."""

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
    """How the broker answered a published message."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # no queue matched
    NACKED = "nacked"  # the broker could not accept it now
    REFUSED = "refused"  # the broker will never accept it
    UNKNOWN = "unknown"  # the connection was lost before the answer: it may have arrived


class Published(NamedTuple):
    """The verdict on one message and, where it is not CONFIRMED, the reason in the broker's words."""

    verdict: Verdict
    reason: str = ""


class Link(NamedTuple):
    """Whether the broker is reachable, if not the reason as a sentence, and since when (monotonic seconds).

    `untried`: it is not connected yet, and no attempt has failed so far. `where` is the address, without password.
    """

    ready: bool
    reason: str = ""
    since: float = 0.0
    untried: bool = False
    where: str = ""


class Depth(NamedTuple):
    """What waits in a queue, and who takes from it."""

    messages: int
    consumers: int


Deliver = Callable[[Delivery], None]


class Consumer(Protocol):
    """One consumer of one queue."""

    @property
    def epoch(self) -> int:
        """The current channel epoch; buffered deliveries of an older one need not be started."""
        ...

    def ack(self, handles: Sequence[Handle]) -> None:
        """Settle; written at once or with the next acks. Handles of older epochs are ignored."""
        ...

    def give_back(self, handles: Sequence[Handle]) -> None:
        """Return to the queue (`nack` with requeue); only while stopping (RULES 1.3). A whole consumer does so later.

        What it does not settle returns with its channel.
        """
        ...

    def limit(self, prefetch: int) -> None:
        """Change the prefetch: soon at most that many further deliveries are unsettled; 0 pauses until it is raised.

        Earlier deliveries stay, can be settled, and may count towards the limit. For queues, not for streams. A whole
        consumer keeps its prefetch.
        """
        ...

    async def known(self) -> bool:
        """Ask the broker over this consumer's channel; False where it no longer knows it. One round trip."""
        ...

    async def renew(self) -> None:
        """Close the channel and consume on a new one: what was not settled returns to the queue, all at once."""
        ...

    async def cancel(self) -> None:
        """Stop deliveries; none arrives after this returns. Earlier ones can still be settled.

        The broker is not told of it where the consumer is whole.
        """
        ...

    async def close(self) -> None:
        """Call after `cancel`: write pending acks, wait for the broker to process them, close (RULES 1.2)."""
        ...


class LinkStatus(Protocol):
    """Whether the broker can be reached now."""

    def link(self) -> Link:
        """The state of all connections, for readiness."""
        ...

    async def until_ready(self) -> None:
        """Return when all connections are up; raises what a callback of `on_ready` raised."""
        ...

    def on_change(self, call: Callable[[], None]) -> None:
        """Run `call` after each change of a connection, at once; an alarm or a queue that is down is in `link` only."""
        ...


class Publishing(LinkStatus, Protocol):
    """What the relay needs: send messages and learn how the broker answered."""

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Publish all, pipelined; one verdict for each message, in order."""
        ...


class Subscribing(LinkStatus, Protocol):
    """What subscriptions and stream readers need: consume a queue or a stream."""

    async def consume(
        self, queue: str, *, prefetch: int, deliver: Deliver, offset: Start | None = None, whole: bool = False
    ) -> Consumer:
        """Consume `queue`; for a stream `offset` is the first wanted, `NEXT`, `LAST`, or None for the oldest kept.

        A moment gives what was written from then on, and of the same chunk what was written before it.

        For a stream each `ack` grants credit. After a reconnect it continues after the last delivered offset. `whole`:
        the broker gives the queue to nobody else while this consumer still holds something, so it leaves the queue only
        with its channel, and what it holds then returns in its order (RULES 9.3).
        """
        ...


class Administering(LinkStatus, Protocol):
    """What the worker needs at start and after each reconnect: declare the topology."""

    def on_ready(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run `call` after each (re)connect, before consumers start again."""
        ...

    async def declare(self, topology: Topology) -> None:
        """Declare on a separate channel; only adds.

        Raises `ConfigError` where an object exists with other arguments (406); it names the object, both values and
        how to resolve it.
        """
        ...

    async def remove(self, queue: str) -> bool:
        """Delete a queue with all that waits in it; False: it is kept, because somebody consumes it.

        One that is gone is no error. Raises `TransportError` where the broker does not answer, or refuses.
        """
        ...

    async def depth(self, queue: str) -> Depth | None:
        """What waits in a queue; None where there is no such queue. Declares nothing.

        Raises `TransportError` where the broker does not answer, or refuses.
        """
        ...

    async def unbind(self, bindings: Sequence[Binding]) -> None:
        """Remove these bindings of queues; one that is gone is no error. `TransportError` where the broker refuses."""
        ...


class Transport(Publishing, Subscribing, Administering, Protocol):
    """All of a broker, for whoever opens and closes it."""

    async def open(self) -> None:
        """Start to connect in the background, with backoff, until `close`; returns at once."""
        ...

    async def close(self) -> None:
        """Close all connections; pending publishes end UNKNOWN."""
        ...


class BrokerAdmin(Protocol):
    """Lists and removes what exists on the broker; `ConfigError` where the broker cannot be asked."""

    async def found(self) -> BrokerObjects:
        """The queues and bindings of the virtual host."""
        ...

    async def unbind(self, binding: Binding) -> None:
        """Remove one binding; one that is already gone is no error."""
        ...

    async def remove(self, queue: str, bindings: Sequence[Binding]) -> str:
        """Remove a queue, these bindings first; returns "", or a sentence that says why the queue is kept.

        A queue with consumers keeps its bindings; a queue with messages loses them.
        """
        ...
