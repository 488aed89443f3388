"""The transport port over RabbitMQ: two lines, one publisher, any number of consumers."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

from hocket.broker.port import Consumer, Deliver, Link, Message, Published
from hocket.broker.rabbitmq.address import addresses
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.consumer import RabbitConsumer
from hocket.broker.rabbitmq.declare import Down, declare, passes_on
from hocket.broker.rabbitmq.errors import Broken, Refused
from hocket.broker.rabbitmq.publisher import Publisher
from hocket.broker.topology import Topology
from hocket.errors import HocketError, TransportError

#: Seconds between looks at a queue of ours that does not run.
DOWN_SECONDS = 2.0


class RabbitTransport:
    """RabbitMQ; `name` is the service's and stands on the broker's list of connections.

    `url` is `amqp://USER:PASSWORD@HOST:PORT/VHOST` or `amqps://…`, or names several nodes of one cluster
    (`address.addresses`); `ConfigError` for anything else. `chance` spreads the waits before connecting again.
    """

    def __init__(self, url: str, name: str, *, chance: random.Random | None = None) -> None:
        nodes = addresses(url)
        self._chance = chance or random.Random()
        self._calls: list[Callable[[], Awaitable[None]]] = []
        self._calling = asyncio.Lock()
        self._caller: asyncio.Task[object] | None = None
        self._mending = asyncio.Lock()
        self._mended = 0.0
        self._consumers: dict[RabbitConsumer, None] = {}
        self._streams: dict[str, bool] = {}
        self._changed = asyncio.Event()
        self._opened = self._closed = False
        self._blocked_since: float | None = None
        self._down = ""
        self._waits: asyncio.Task[None] | None = None
        news = self._changed.set
        self._in = LastingConnection(nodes, f"{name} consumes", self._chance, self._consumes_again, news)
        self._out = LastingConnection(nodes, f"{name} publishes", self._chance, self._publishes_again, news)
        self._publisher = Publisher(self._out, name, self._mend)

    async def open(self) -> None:
        """Begin to connect; returns at once."""
        if not self._opened:
            self._opened = True
            self._out.start()
            self._in.start()

    async def close(self) -> None:
        """Close both connections; publishes under way end UNKNOWN."""
        if self._closed:
            return
        self._closed = True
        if self._waits is not None:
            self._waits.cancel()
            await asyncio.gather(self._waits, return_exceptions=True)
        for consumer in list(self._consumers):
            await consumer.close()
        await asyncio.gather(self._in.stop(), self._out.stop())

    def link(self) -> Link:
        """The state of both connections, in a sentence that names the address."""
        for line in (self._in, self._out):
            if not line.open:
                return Link(False, line.reason, line.since)
        session = self._out.session
        if session is not None and session.blocked:
            since = self._publisher.waiting_since or self._blocked_since or asyncio.get_running_loop().time()
            self._blocked_since = since
            return Link(
                False,
                f"the broker at {self._out.where} holds publishers back: it has a memory or disk alarm; "
                f"what is said waits until that is cleared",
                since,
            )
        self._blocked_since = None
        if self._down:
            return Link(False, self._down, self._in.since)
        for consumer in self._consumers:
            if consumer.reason:
                return Link(False, f"{consumer.reason} (broker at {self._in.where})", self._in.since)
        return Link(True, "", max(self._in.since, self._out.since))

    async def until_ready(self) -> None:
        """Return when both connections are up and all that was declared runs.

        While a queue is down the broker confirms what only the others take. What an `on_ready` call raised (a
        `ConfigError`) is raised here.
        """
        while self._down or not (self._in.open and self._out.open):
            for line in (self._in, self._out):
                line.check()
                refusal: HocketError | None = line.refusal
                if refusal is not None:
                    line.refusal = None
                    raise refusal
            self._changed.clear()
            await self._changed.wait()

    def on_ready(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run `call` after each following (re)connect, before consumers start again.

        It may declare and publish; it must not wait for the link (`until_ready`, `consume`), which waits for it.
        """
        self._calls.append(call)

    async def declare(self, topology: Topology) -> None:
        """Declare on a channel of its own; only adds. A queue that does not run is waited for, and the link says so."""
        try:
            await declare(await self._in.connected(), topology, self._in.where)
        except Down as down:
            self._down = str(down)
            if self._waits is None or self._waits.done():
                self._waits = asyncio.create_task(self._until_up(topology), name=f"waits for {self._in.where}")
            raise
        self._streams.update((queue.name, queue.stream) for queue in topology.queues)
        self._publisher.behind.update(passes_on(topology))

    async def consume(self, queue: str, *, prefetch: int, deliver: Deliver, offset: int | None = None) -> Consumer:
        """Consume `queue` as soon as the link is up; `TransportError` where the broker does not let us."""
        if self._closed:
            raise TransportError(f"the transport to the broker at {self._in.where} was closed by this process")
        consumer = RabbitConsumer(
            self._in,
            queue,
            prefetch=prefetch,
            deliver=deliver,
            offset=offset,
            stream=self._streams.get(queue),
            chance=self._chance,
            mend=self._mend,
            ended=lambda one: self._consumers.pop(one, None),
        )
        self._consumers[consumer] = None
        await consumer.begin()
        return consumer

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Publish all, pipelined; one verdict each, in order; UNKNOWN at once while there is no connection."""
        return await self._publisher.publish(messages)

    async def _until_up(self, topology: Topology) -> None:
        """Look until all runs; a channel that published meanwhile never gets its answers, so it is given up."""
        while True:
            await asyncio.sleep(DOWN_SECONDS)
            try:
                await declare(await self._in.connected(), topology, self._in.where)
                break
            except Down as down:
                self._down = str(down)
            except HocketError:  # the link was lost, or it is refused: said where it is declared next
                continue
        await self._out.cut()
        self._down = ""
        self._changed.set()

    async def _consumes_again(self, _: OpenConnection) -> None:
        await self._call()

    async def _publishes_again(self, session: OpenConnection) -> None:
        await self._publisher.came_up(session)
        if self._in.open:
            await self._call()

    async def _mend(self) -> None:
        """Something of ours does not stand any more: declare all again, once for all who find out at the same time."""
        found = asyncio.get_running_loop().time()
        if not self._in.open or self._caller is asyncio.current_task():
            return
        async with self._mending:
            if self._mended < found:
                self._mended = asyncio.get_running_loop().time()
                with contextlib.suppress(HocketError, Broken, Refused):  # then it is still missing, and that is said
                    await self._publisher.mended(self._call)

    async def _call(self) -> None:
        async with self._calling:
            self._caller = asyncio.current_task()
            try:
                for call in self._calls:
                    await call()
            finally:
                self._caller = None
