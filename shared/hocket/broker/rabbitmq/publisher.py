"""Publishing: many batches pending at once, one write for each batch, a verdict for each message (RULES 4.3, 4.4)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import cast

from aiormq.channel import Channel as ClientChannel

from hocket.broker.port import Message, Published, Verdict
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, client_call, missing, refusal, words
from hocket.broker.rabbitmq.protocol.confirm_tap import ConfirmTap
from hocket.broker.rabbitmq.protocol.publish_batch import Batch, close_event, write_batch
from hocket.broker.rabbitmq.protocol.publish_codec import unsendable

#: Bodies not yet confirmed on the connection, in bytes; beyond it a batch waits before it is written.
MAX_PENDING_BYTES = 64 * 1024 * 1024
#: How often a batch that was not written tries another channel.
WRITE_TRIES = 5
#: How long the search for a refused message waits for the connection if that was lost too, in seconds.
SEARCH_SECONDS = 10.0


class _ConfirmChannel:
    """One publishing channel; after its end `refused` says whether the broker closed it because of a publish."""

    def __init__(self, channel: ClientChannel) -> None:
        self._channel = channel
        self._close_event = close_event(channel)
        ConfirmTap(channel)
        self._pending: set[Batch] = set()
        self.closed = False
        self.refused: str | None = None
        channel.closing.add_done_callback(self._on_close)

    def _on_close(self, closing: asyncio.Future[object]) -> None:
        self.closed = True
        self.refused = None if closing.cancelled() else refusal(closing.exception())
        for batch in self._pending:
            batch.end()

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self.closed or self._close_event.is_set()

    async def send(
        self, messages: Sequence[Message], ids: Sequence[str], checked: Sequence[str] = ()
    ) -> list[Published | None]:
        """Write and wait for the verdicts; nothing is accepted if one of the exchanges `checked` is missing.

        Raises `Broken` or `Refused` when nothing was written.
        """
        batch = Batch(len(messages))
        self._pending.add(batch)
        try:
            await client_call(write_batch(self._channel, messages, ids, checked, batch))
            if self.closed:
                batch.end()
            await batch.done
        finally:
            self._pending.discard(batch)
        return batch.verdicts

    async def close(self) -> None:
        """Close the channel if it is open."""
        if not self.closed:
            try:
                await client_call(self._channel.close())
            except (Broken, Refused):
                self.closed = True


class Publisher:
    """Publishes over one connection, on one channel, and on others while it searches for a refused message.

    `redeclare` declares the topology again: called when an exchange is missing, or no queue matched a message.
    """

    def __init__(self, connection: LastingConnection, name: str, redeclare: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._redeclare = redeclare
        self._declaring_task: asyncio.Task[object] | None = None
        self._declared = asyncio.Event()
        self._name = name
        self._channel: _ConfirmChannel | None = None
        self._opening = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._boot = f"{datetime.now(UTC).timestamp():.6f}"
        self._pending_bytes = 0
        self._space = asyncio.Event()
        self._waiting: dict[int, float] = {}
        #: For each exchange, those that it forwards to; they must exist when something is published to it.
        self.forwards: dict[str, tuple[str, ...]] = {}

    @property
    def waiting_since(self) -> float | None:
        """Since when the oldest pending publish has waited (monotonic seconds); None when there is none."""
        return next(iter(self._waiting.values()), None)

    async def on_connected(self, session: OpenConnection) -> None:
        """Open the channel of a new connection."""
        self._channel = await self._open(session)

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """One verdict for each message, in order."""
        self._connection.check()
        verdicts = [unsendable(message) for message in messages]
        rest = [index for index, verdict in enumerate(verdicts) if verdict is None]
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().time()
        size = sum(len(messages[index].body) for index in rest)
        try:
            await self._await_space(size)
            try:
                answers = await self._publish([messages[index] for index in rest]) if rest else []
            finally:
                self._pending_bytes -= size
                self._space.set()
            for index, answer in zip(rest, answers, strict=True):
                verdicts[index] = answer
        finally:
            del self._waiting[number]
        return [verdict or self._unknown() for verdict in verdicts]

    async def _await_space(self, size: int) -> None:
        while self._pending_bytes and self._pending_bytes + size > MAX_PENDING_BYTES:
            self._space.clear()
            await self._space.wait()
        self._pending_bytes += size

    async def hold_while(self, declare: Callable[[], Awaitable[None]]) -> None:
        """Hold all other publishes while `declare` runs: with half a topology a message would miss some queues."""
        self._declaring_task = asyncio.current_task()
        try:
            await declare()
        finally:
            self._declaring_task = None
            self._declared.set()

    async def _until_declared(self) -> None:
        while self._declaring_task is not None and self._declaring_task is not asyncio.current_task():
            self._declared.clear()
            await self._declared.wait()

    def _unknown(self, why: str = "") -> Published:
        return Published(Verdict.UNKNOWN, why or self._connection.reason or "the connection was lost before the answer")

    async def _publish(self, messages: list[Message]) -> list[Published | None]:
        for _ in range(WRITE_TRIES):
            session = self._connection.session if self._connection.open else None
            if session is None:
                return [self._unknown()] * len(messages)
            await session.until_unblocked()
            try:
                channel = await self._current_channel(session)
                await self._until_declared()
                answers = await self._send(channel, messages)
            except (Broken, Refused):
                # Not written: the channel was closed because of another batch, or the connection was lost.
                continue
            if None in answers and channel.refused is not None:
                if missing(channel.refused):
                    await self._redeclare()
                return await self._search(messages, answers)
            if any(answer is not None and answer.verdict is Verdict.RETURNED for answer in answers):
                await self._redeclare()
            return answers
        # Other batches closed each channel before this one was written: use a separate channel.
        return await self._search(messages, [None] * len(messages))

    async def _search(self, messages: list[Message], answers: list[Published | None]) -> list[Published | None]:
        """Find the refused messages: send each unanswered one alone, on a channel that only it can close."""
        probe: _ConfirmChannel | None = None
        for index, message in enumerate(messages):
            if answers[index] is not None:
                continue
            try:
                if probe is None or probe.closed:
                    session = await asyncio.wait_for(self._connection.until_open(), SEARCH_SECONDS)
                    await session.until_unblocked()
                    probe = await self._open(session)
                await self._until_declared()
                answers[index] = (await self._send(probe, [message]))[0]
            except TimeoutError:  # the remaining ones are unknown too
                break
            except (Broken, Refused) as failed:
                answers[index] = self._unknown(words(failed))
            else:
                if answers[index] is None and probe.refused is not None:
                    answers[index] = self._refused(message, probe.refused)
        if probe is not None:
            await probe.close()
        return answers

    def _refused(self, message: Message, said: str) -> Published:
        """The broker never accepts it; if only an exchange that its own forwards to is missing, it can be retried."""
        waits = missing(said) and any(f"'{name}'" in said for name in self.forwards.get(message.exchange, ()))
        return Published(Verdict.RETURNED if waits else Verdict.REFUSED, said)

    async def _send(self, channel: _ConfirmChannel, messages: Sequence[Message]) -> list[Published | None]:
        ids = [f"{self._name}-{self._boot}-{next(self._numbers)}" for _ in messages]
        exchanges = dict.fromkeys(message.exchange for message in messages)
        return await channel.send(messages, ids, [name for each in exchanges for name in self.forwards.get(each, ())])

    async def _current_channel(self, session: OpenConnection) -> _ConfirmChannel:
        async with self._opening:
            if self._channel is None or self._channel.closing:
                self._channel = await self._open(session)
            return self._channel

    @staticmethod
    async def _open(session: OpenConnection) -> _ConfirmChannel:
        return _ConfirmChannel(cast("ClientChannel", await session.channel(confirms=True)))
