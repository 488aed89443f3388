"""One connection that is kept up: connects with backoff, says how it goes, comes back after a loss."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import AbstractConnection as WireConnection
from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from hocket.broker.rabbitmq.address import Address
from hocket.broker.rabbitmq.errors import Broken, Refused, asked, words
from hocket.broker.rabbitmq.protocol.frame_reader import FastConnection
from hocket.errors import HocketError, TransportError
from hocket.retry import Backoff

#: Heartbeats, in seconds: the broker is known dead after about three of them.
HEARTBEAT_SECONDS = 10
#: Longest wait for one connection, or for one channel of a fresh connection, in seconds.
CONNECT_SECONDS = 15.0
#: Bounds of the wait before connecting again, in seconds; in between it doubles, with full jitter.
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_LAST_SECONDS = 5.0
#: Numbers of channels in one session before they start again; a number just closed is not used at once, because its
#: closing may not be finished at the broker.
CHANNEL_NUMBERS = 1000
#: What the client waits for when a virtual host is refused.
OPEN_OK = "Connection.OpenOk"


def backoff(attempt: int, chance: random.Random) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the first repetition), with full jitter."""
    return Backoff(BACKOFF_FIRST_SECONDS, BACKOFF_LAST_SECONDS, jitter=1.0).wait(attempt, chance)


class OpenConnection:
    """One living connection; `gone` is set when it is lost."""

    def __init__(self, connection: AbstractConnection, wire: WireConnection) -> None:
        self._connection = connection
        self._wire = wire
        self._numbers = 0
        self._channels: dict[int, AbstractChannel] = {}
        self.gone = asyncio.Event()
        self.why = ""
        wire.closing.add_done_callback(self._lost)

    def _lost(self, closing: asyncio.Future[object]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self.why = "closed" if error is None else words(error)
        self._channels.clear()
        self.gone.set()

    @property
    def blocked(self) -> bool:
        """Whether the broker has said that it takes no publishes now (`connection.blocked`)."""
        # The client keeps this to itself; the contract suite shows on a real broker that the name still stands.
        unblocked = getattr(self._wire, "_Connection__connection_unblocked", None)
        return isinstance(unblocked, asyncio.Event) and not unblocked.is_set()

    async def until_unblocked(self) -> None:
        """Return when the broker takes publishes; `Broken` when the connection is lost before."""
        if not self.blocked or self.gone.is_set():
            return
        waits = [asyncio.ensure_future(self._wire.ready()), asyncio.ensure_future(self.gone.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def channel(self, *, confirms: bool) -> Wire:
        """Open a channel; raises `Broken` and `Refused`."""
        for _ in range(CHANNEL_NUMBERS):
            self._numbers = self._numbers % CHANNEL_NUMBERS + 1
            if self._numbers not in self._channels:
                break
        number = self._numbers
        try:
            channel = self._connection.channel(number, publisher_confirms=confirms, on_return_raises=confirms)
        except RuntimeError as gone:  # the connection was lost a moment ago
            raise Broken(words(gone)) from gone
        await asked(channel.initialize(), CONNECT_SECONDS)
        self._channels[number] = channel
        wire = await asked(channel.get_underlay_channel())
        wire.closing.add_done_callback(lambda _: self._channels.pop(number, None))
        return wire

    async def close(self) -> None:
        """Close; what waits on it ends."""
        try:
            await asked(self._connection.close(), CONNECT_SECONDS)
        except (Broken, Refused):
            self.gone.set()


class LastingConnection:
    """Keeps one connection up for one purpose; `came_up` runs in each session before the line is open.

    Of several addresses the next is tried whenever one fails or is lost; it waits only when all have failed in turn.
    What `came_up` raises of `HocketError`, `Broken` and `Refused` ends the session; it is said and tried again.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        name: str,
        chance: random.Random,
        came_up: Callable[[OpenConnection], Awaitable[None]],
        news: Callable[[], None],
    ) -> None:
        self._addresses = addresses
        self._turn = 0
        self._failures: dict[int, str] = {}
        self._name = name
        self._chance = chance
        self._came_up = came_up
        self._news = news
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.session: OpenConnection | None = None
        self.open = False
        self.reason = f"not connected to the broker at {self.where} yet"
        self.since = 0.0
        self.refusal: HocketError | None = None

    @property
    def where(self) -> str:
        """The address it is connected to, or tries now."""
        return self._address.where

    @property
    def _address(self) -> Address:
        return self._addresses[self._turn % len(self._addresses)]

    def start(self) -> None:
        """Begin to connect, in the background."""
        self.since = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name=f"line {self._name}")
        self._task.add_done_callback(lambda _: self._news())

    async def stop(self) -> None:
        """Close the connection and stay down; who waits gets `TransportError`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._say(f"the transport was closed by {self._name.rsplit(' ', 1)[0]}")

    async def cut(self) -> None:
        """Give the present connection up, and connect again."""
        if self.session is not None:
            await self.session.close()

    def check(self) -> None:
        """Raise what ended the line: closed by us, or a mistake in a call of `came_up`."""
        if self._closed:
            raise TransportError(f"the transport to the broker at {self.where} was closed by this process")
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def connected(self) -> OpenConnection:
        """The session, as soon as there is one, open or about to be."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.session is not None or self._ended)
        self.check()
        if self.session is None:
            raise TransportError(self.reason)
        return self.session

    async def until_open(self) -> OpenConnection:
        """The session, as soon as the line is open."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open or self._ended)
        self.check()
        if self.session is None:
            raise TransportError(self.reason)
        return self.session

    @property
    def _ended(self) -> bool:
        return self._closed or (self._task is not None and self._task.done())

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                session = await self._connect()
            except (Broken, Refused) as failed:
                await self._failed(failed)
            else:
                try:
                    attempt = 0 if await self._live(session) else attempt
                finally:
                    self.open, self.session = False, None
                    await session.close()
            self._turn += 1
            if self._turn % len(self._addresses) == 0:
                attempt += 1
                await asyncio.sleep(backoff(attempt, self._chance))

    async def _failed(self, failed: Broken | Refused) -> None:
        """Say it, with what the other addresses said when they were tried last."""
        how = "refuses this process" if isinstance(failed, Refused) else "does not answer"
        if isinstance(failed.__cause__, ssl.SSLError) or "SSL" in str(failed):
            how = "does not agree on TLS"
        self._failures[self._turn % len(self._addresses)] = f"the broker at {self.where} {how}: {failed}"
        await self._say("; ".join(self._failures[place] for place in sorted(self._failures)))

    async def _connect(self) -> OpenConnection:
        query = {"heartbeat": str(HEARTBEAT_SECONDS), **self._address.url.query, "name": self._name}
        url = self._address.url.with_query(query)
        connection = FastConnection(url, ssl_context=self._address.tls)
        try:
            await asked(connection.connect(timeout=CONNECT_SECONDS))
            if connection.transport is None:
                raise Broken("the connection ended as it began")
            return OpenConnection(connection, connection.transport.connection)
        except BaseException as failed:
            # Else it closes itself when it is collected, in whatever thread that happens.
            await connection.close()
            if isinstance(failed, Broken):
                raise self._meant(failed, url) from failed.__cause__
            raise

    @staticmethod
    def _meant(failed: Broken, url: URL) -> Broken | Refused:
        """What a failure to connect really says."""
        if isinstance(failed.__cause__, AuthenticationError | ProbableAuthenticationError):
            return Refused(str(failed))
        if OPEN_OK in str(failed):
            # The client loses the broker's words here; it closes so for the virtual host only.
            vhost = url.path[1:] or "/"
            return Refused(f"virtual host {vhost} does not stand there, or user {url.user} may not use it")
        return failed

    async def _live(self, session: OpenConnection) -> bool:
        """Serve until the session is lost; whether it was ever open."""
        self.session = session
        await self._tell()
        try:
            await self._came_up(session)
        except TransportError as failed:
            await self._say(str(failed))
            return False
        except HocketError as refused:
            self.refusal = refused
            await self._say(str(refused))
            return False
        except (Broken, Refused) as failed:
            await self._say(f"the broker at {self.where} broke off while connecting: {failed}")
            return False
        self.open, self.refusal = not session.gone.is_set(), None
        self._failures.clear()
        await self._say("")
        await session.gone.wait()
        self.open, self.session = False, None
        await self._say(f"the connection to the broker at {self.where} was lost: {session.why}")
        return True

    async def _say(self, reason: str) -> None:
        if bool(reason) != bool(self.reason):
            self.since = asyncio.get_running_loop().time()
        self.reason = reason
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
        self._news()
