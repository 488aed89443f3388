"""The transport over RabbitMQ: two connections, one publisher, any number of consumers."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

from hocket.broker.port import Consumer, Deliver, Depth, Link, Message, Published, Start
from hocket.broker.rabbitmq.address import addresses
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.consumer import RabbitConsumer
from hocket.broker.rabbitmq.declare import QueueDown, declare, depth, forwarding, remove, unbind
from hocket.broker.rabbitmq.errors import Broken, Refused
from hocket.broker.rabbitmq.publisher import Publisher
from hocket.broker.topology import Binding, Topology
from hocket.errors import HocketError, TransportError

#: Seconds between checks of a declared queue that is down.
DOWN_SECONDS = 2.0


class RabbitTransport:
    """RabbitMQ; `name` is the service's and is shown in the broker's list of connections.

    `url` is `amqp://USER:PASSWORD@HOST:PORT/VHOST` or `amqps://…`, or names several nodes of one cluster
    (`address.addresses`); `ConfigError` for anything else. `chance` gives the jitter of the waits before
    connecting again.
    """

    def __init__(self, url: str, name: str, *, chance: random.Random | None = None) -> None:
        nodes = addresses(url)
        self._chance = chance or random.Random()
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._watchers: list[Callable[[], None]] = []
        self._callbacks_lock = asyncio.Lock()
        self._callback_task: asyncio.Task[object] | None = None
        self._redeclaring = asyncio.Lock()
        self._redeclared_at = 0.0
        self._consumers: dict[RabbitConsumer, None] = {}
        self._streams: dict[str, bool] = {}
        self._without_right: set[str] = set()
        self._changed = asyncio.Event()
        self._opened = self._closed = False
        self._blocked_since: float | None = None
        self._down = ""
        self._down_watch: asyncio.Task[None] | None = None
        on_change = self._on_change
        self._consuming = LastingConnection(nodes, f"{name} consumes", self._chance, self._on_consuming, on_change)
        self._publishing = LastingConnection(nodes, f"{name} publishes", self._chance, self._on_publishing, on_change)
        self._publisher = Publisher(self._publishing, name, self._redeclare)

    async def open(self) -> None:
        """Start to connect; returns at once."""
        if not self._opened:
            self._opened = True
            self._publishing.start()
            self._consuming.start()

    async def close(self) -> None:
        """Close both connections; pending publishes end UNKNOWN."""
        if self._closed:
            return
        self._closed = True
        if self._down_watch is not None:
            self._down_watch.cancel()
            await asyncio.gather(self._down_watch, return_exceptions=True)
        for consumer in list(self._consumers):
            await consumer.close()
        await asyncio.gather(self._consuming.stop(), self._publishing.stop())

    def link(self) -> Link:
        """The state of both connections; the reason names the address."""
        for connection in (self._consuming, self._publishing):
            if not connection.open:
                return Link(False, connection.reason, connection.since, connection.untried)
        session = self._publishing.session
        if session is not None and session.blocked:
            since = self._publisher.waiting_since or self._blocked_since or asyncio.get_running_loop().time()
            self._blocked_since = since
            return Link(
                False,
                f"the broker at {self._publishing.where} blocks publishers: it has a memory or disk alarm; "
                f"publishes wait until it is cleared",
                since,
            )
        self._blocked_since = None
        if self._down:
            return Link(False, self._down, self._consuming.since)
        for consumer in self._consumers:
            if consumer.reason:
                return Link(False, f"{consumer.reason} (broker at {self._consuming.where})", self._consuming.since)
        return Link(True, "", max(self._consuming.since, self._publishing.since), where=self._publishing.where)

    async def until_ready(self) -> None:
        """Return when both connections are up and no declared queue is down.

        While a queue is down, the broker confirms what only the other queues get. Raises what a callback of
        `on_ready` raised (a `ConfigError`).
        """
        while self._down or not (self._consuming.open and self._publishing.open):
            for connection in (self._consuming, self._publishing):
                connection.check()
                refusal: HocketError | None = connection.refusal
                if refusal is not None:
                    connection.refusal = None
                    raise refusal
            self._changed.clear()
            await self._changed.wait()

    def on_change(self, call: Callable[[], None]) -> None:
        """Run `call` after each change of a connection."""
        self._watchers.append(call)

    def _on_change(self) -> None:
        self._changed.set()
        for call in self._watchers:
            call()

    def on_ready(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run `call` after each following (re)connect, before consumers start again.

        It may declare and publish. It must not call `until_ready` or `consume`: these wait for it.
        """
        self._callbacks.append(call)

    async def declare(self, topology: Topology) -> None:
        """Declare on a separate channel; only adds. A queue that is down makes the link not ready until it is up."""
        try:
            await declare(await self._consuming.connected(), topology, self._consuming.where, self._without_right)
        except QueueDown as down:
            self._down = str(down)
            if self._down_watch is None or self._down_watch.done():
                self._down_watch = asyncio.create_task(
                    self._until_up(topology), name=f"queue down at {self._consuming.where}"
                )
            raise
        self._streams.update((queue.name, queue.stream) for queue in topology.queues)
        self._publisher.forwards.update(forwarding(topology))

    async def remove(self, queue: str) -> bool:
        """Delete a queue with all that waits in it; False: it is kept, because somebody consumes it."""
        return await remove(await self._consuming.connected(), queue, self._consuming.where)

    async def depth(self, queue: str) -> Depth | None:
        """What waits in a queue; None where there is no such queue."""
        return await depth(await self._consuming.connected(), queue, self._consuming.where)

    async def unbind(self, bindings: Sequence[Binding]) -> None:
        """Remove these bindings of queues; one that is gone is no error."""
        await unbind(await self._consuming.connected(), bindings, self._consuming.where)

    async def consume(
        self, queue: str, *, prefetch: int, deliver: Deliver, offset: Start | None = None, whole: bool = False
    ) -> Consumer:
        """Consume `queue` as soon as the connection is open; `TransportError` where the broker refuses."""
        if self._closed:
            raise TransportError(f"the transport to the broker at {self._consuming.where} was closed by this process")
        consumer = RabbitConsumer(
            self._consuming,
            queue,
            prefetch=prefetch,
            deliver=deliver,
            offset=offset,
            stream=self._streams.get(queue),
            chance=self._chance,
            redeclare=self._redeclare,
            on_end=lambda one: self._consumers.pop(one, None),
            whole=whole,
        )
        self._consumers[consumer] = None
        await consumer.start()
        return consumer

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Publish all, pipelined; one verdict for each, in order. UNKNOWN at once while there is no connection."""
        return await self._publisher.publish(messages)

    async def _until_up(self, topology: Topology) -> None:
        """Check until no queue is down; then reconnect, because publishes made meanwhile never get an answer."""
        while True:
            await asyncio.sleep(DOWN_SECONDS)
            try:
                await declare(await self._consuming.connected(), topology, self._consuming.where, self._without_right)
                break
            except QueueDown as down:
                self._down = str(down)
            except HocketError:  # lost or refused: the next declare reports it
                continue
        await self._publishing.reconnect()
        self._down = ""
        self._changed.set()

    async def _on_consuming(self, _: OpenConnection) -> None:
        await self._run_callbacks()

    async def _on_publishing(self, session: OpenConnection) -> None:
        await self._publisher.on_connected(session)
        if self._consuming.open:
            await self._run_callbacks()

    async def _redeclare(self) -> None:
        """Declare everything again because an object is missing; once for all callers that notice at the same time."""
        noticed = asyncio.get_running_loop().time()
        if not self._consuming.open or self._callback_task is asyncio.current_task():
            return
        async with self._redeclaring:
            if self._redeclared_at < noticed:
                self._redeclared_at = asyncio.get_running_loop().time()
                with contextlib.suppress(HocketError, Broken, Refused):  # then it is still missing, which is reported
                    await self._publisher.hold_while(self._run_callbacks)

    async def _run_callbacks(self) -> None:
        async with self._callbacks_lock:
            self._callback_task = asyncio.current_task()
            try:
                for call in self._callbacks:
                    await call()
            finally:
                self._callback_task = None
