"""One connection that is kept open: connects with backoff, reports its state, reconnects after a loss."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as ClientChannel
from aiormq.abc import AbstractConnection as ClientConnection
from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from hocket.broker.rabbitmq.address import Address
from hocket.broker.rabbitmq.errors import Broken, Refused, client_call, words
from hocket.broker.rabbitmq.protocol.tapped_connection import TappedConnection, is_blocked
from hocket.errors import HocketError, TransportError
from hocket.retry import Backoff

#: How a broker refuses a user or a password.
LOGIN_REFUSED = "Login was refused"
#: Seconds between heartbeats: after about three of them without an answer the connection counts as lost.
HEARTBEAT_SECONDS = 10
#: Longest wait for one connection, or for one channel of a fresh connection, in seconds.
CONNECT_SECONDS = 15.0
#: Bounds of the wait before connecting again, in seconds; in between it doubles, with full jitter.
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_LAST_SECONDS = 5.0
#: Channel numbers in one session before they start again; a number just closed is not used at once, because the
#: broker may not have finished closing it.
CHANNEL_NUMBERS = 1000
#: What the client waits for when the broker refuses a virtual host.
OPEN_OK = "Connection.OpenOk"


def backoff(attempt: int, chance: random.Random) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the first repetition), with full jitter."""
    return Backoff(BACKOFF_FIRST_SECONDS, BACKOFF_LAST_SECONDS, jitter=1.0).wait(attempt, chance)


class OpenConnection:
    """One open connection; `lost` is set when it ends, for the reason `loss`."""

    def __init__(self, connection: AbstractConnection, client: ClientConnection) -> None:
        self._connection = connection
        self._client = client
        self._numbers = 0
        self._channels: dict[int, AbstractChannel] = {}
        self.lost = asyncio.Event()
        self.loss = ""
        client.closing.add_done_callback(self._on_loss)

    def _on_loss(self, closing: asyncio.Future[object]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self.loss = "closed" if error is None else words(error)
        self._channels.clear()
        self.lost.set()

    @property
    def blocked(self) -> bool:
        """Whether the broker has said that it accepts no publishes now (`connection.blocked`)."""
        return is_blocked(self._client)

    async def until_unblocked(self) -> None:
        """Return when the broker accepts publishes, or the connection is lost."""
        if not self.blocked or self.lost.is_set():
            return
        waits = [asyncio.ensure_future(self._client.ready()), asyncio.ensure_future(self.lost.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def channel(self, *, confirms: bool) -> ClientChannel:
        """Open a channel; raises `Broken` and `Refused`."""
        for _ in range(CHANNEL_NUMBERS):
            self._numbers = self._numbers % CHANNEL_NUMBERS + 1
            if self._numbers not in self._channels:
                break
        number = self._numbers
        try:
            channel = self._connection.channel(number, publisher_confirms=confirms, on_return_raises=confirms)
        except RuntimeError as lost:  # the connection was lost a moment ago
            raise Broken(words(lost)) from lost
        await client_call(channel.initialize(), CONNECT_SECONDS)
        self._channels[number] = channel
        client_channel = await client_call(channel.get_underlay_channel())
        client_channel.closing.add_done_callback(lambda _: self._channels.pop(number, None))
        return client_channel

    async def close(self) -> None:
        """Close; everything that waits on it ends."""
        try:
            await client_call(self._connection.close(), CONNECT_SECONDS)
        except (Broken, Refused):
            self.lost.set()


class LastingConnection:
    """Keeps one connection for one purpose; `on_connected` runs in each session before it counts as open.

    With several addresses the next is tried whenever one fails or is lost; it waits only after all have failed.
    If `on_connected` raises `HocketError`, `Broken` or `Refused`, the session ends, `reason` says why, and it connects
    again. `on_change` is called after every change of state.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        name: str,
        chance: random.Random,
        on_connected: Callable[[OpenConnection], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        self._addresses = addresses
        self._tried = 0
        self._failures: dict[int, str] = {}
        self._name = name
        self._chance = chance
        self._on_connected = on_connected
        self._on_change = on_change
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.session: OpenConnection | None = None
        self.open = False
        self.reason = f"not connected to the broker at {self.where} yet"
        self.since = 0.0
        self.untried = True  # no attempt has succeeded or failed yet
        self.refusal: HocketError | None = None

    @property
    def where(self) -> str:
        """The address that it is connected to, or tries now."""
        return self._address.where

    @property
    def _address(self) -> Address:
        return self._addresses[self._tried % len(self._addresses)]

    def start(self) -> None:
        """Start to connect in the background."""
        self.since = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name=f"connection {self._name}")
        self._task.add_done_callback(lambda _: self._on_change())

    async def stop(self) -> None:
        """Close the connection for good; callers that wait get `TransportError`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._report(f"the transport was closed by {self._name.rsplit(' ', 1)[0]}")

    async def reconnect(self) -> None:
        """Close the current connection and connect again."""
        if self.session is not None:
            await self.session.close()

    def check(self) -> None:
        """Raise what ended it: `TransportError` after `stop`, or an unexpected error of `on_connected`."""
        if self._closed:
            raise TransportError(f"the transport to the broker at {self.where} was closed by this process")
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def connected(self) -> OpenConnection:
        """The session, as soon as there is one, even before `on_connected` has finished."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.session is not None or self._ended)
        self.check()
        if self.session is None:
            raise TransportError(self.reason)
        return self.session

    async def until_open(self) -> OpenConnection:
        """The session, as soon as it is open."""
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
            self._tried += 1
            if self._tried % len(self._addresses) == 0:
                attempt += 1
                await asyncio.sleep(backoff(attempt, self._chance))

    async def _failed(self, failed: Broken | Refused) -> None:
        """Report a failed attempt, with the last failures of the other addresses."""
        how = "refuses this process" if isinstance(failed, Refused) else "does not answer"
        if isinstance(failed.__cause__, ssl.SSLError) or "SSL" in str(failed):
            how = "does not agree on TLS"
        way_out = "; check user and password in HOCKET_BROKER_URL" if LOGIN_REFUSED in str(failed) else ""
        self._failures[self._tried % len(self._addresses)] = f"the broker at {self.where} {how}: {failed}{way_out}"
        await self._report("; ".join(self._failures[index] for index in sorted(self._failures)))

    async def _connect(self) -> OpenConnection:
        query = {"heartbeat": str(HEARTBEAT_SECONDS), **self._address.url.query, "name": self._name}
        url = self._address.url.with_query(query)
        connection = TappedConnection(url, ssl_context=self._address.tls)
        try:
            await client_call(connection.connect(timeout=CONNECT_SECONDS))
            if connection.transport is None:
                raise Broken("the connection was lost as soon as it was open")
            return OpenConnection(connection, connection.transport.connection)
        except BaseException as failed:
            # Otherwise it closes itself when it is garbage collected, in whatever thread that happens.
            await connection.close()
            if isinstance(failed, Broken):
                raise self._interpreted(failed, url) from failed.__cause__
            raise

    @staticmethod
    def _interpreted(failed: Broken, url: URL) -> Broken | Refused:
        """The real reason of a failure to connect."""
        if isinstance(failed.__cause__, AuthenticationError | ProbableAuthenticationError):
            return Refused(str(failed))
        if OPEN_OK in str(failed):
            # The client loses the broker's words here; only a refused virtual host ends like this.
            vhost = url.path[1:] or "/"
            return Refused(f"virtual host {vhost} does not exist there, or user {url.user} may not use it")
        return failed

    async def _live(self, session: OpenConnection) -> bool:
        """Wait until the session is lost; returns whether it was ever open."""
        self.session = session
        await self._notify()
        try:
            await self._on_connected(session)
        except TransportError as failed:
            await self._report(str(failed))
            return False
        except HocketError as refused:
            self.refusal = refused
            await self._report(str(refused))
            return False
        except (Broken, Refused) as failed:
            await self._report(f"the connection to the broker at {self.where} failed during setup: {failed}")
            return False
        self.open, self.refusal = not session.lost.is_set(), None
        self._failures.clear()
        await self._report("")
        await session.lost.wait()
        self.open, self.session = False, None
        await self._report(f"the connection to the broker at {self.where} was lost: {session.loss}")
        return True

    async def _report(self, reason: str) -> None:
        if bool(reason) != bool(self.reason):
            self.since = asyncio.get_running_loop().time()
        self.reason, self.untried = reason, False
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
        self._on_change()
