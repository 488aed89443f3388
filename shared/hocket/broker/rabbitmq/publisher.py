"""Publishing: many under way, one write a batch, a verdict a message (RULES 4.3, 4.4).

The client's own `basic_publish` costs a task and three futures a message, and waits for the socket in a way that
stops the heartbeats of a connection that an alarm holds back. So a batch is written here through the channel's public
parts: its lock, its delivery tags, its table of confirmations, its write queue. What stands in that table is a
`_PendingConfirm`, not a future.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import cast

from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as WireChannel
from aiormq.channel import ConfirmationType
from aiormq.exceptions import PublishError

from hocket.broker.port import Message, Published, Verdict
from hocket.broker.rabbitmq.connection import LastingConnection, OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, asked, missing, refusal, words
from hocket.broker.rabbitmq.protocol.confirm_tap import ConfirmTap
from hocket.broker.rabbitmq.protocol.publish_codec import frames_of, standing, unsendable

#: Bodies under way on the connection, in bytes; beyond it a batch waits before it is written.
MAX_FLYING_BYTES = 64 * 1024 * 1024
#: How often a batch that was not written looks for a channel that stays open.
WRITE_TRIES = 5
#: How long the search for a culprit waits for the connection when that was lost too, in seconds.
SEARCH_SECONDS = 10.0

CONFIRMED = Published(Verdict.CONFIRMED)


class _Batch:
    """Messages written together; ends when each has its verdict, or with None for those the channel's end left."""

    __slots__ = ("_left", "done", "verdicts")

    def __init__(self, count: int) -> None:
        self.verdicts: list[Published | None] = [None] * count
        self._left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, verdict: Published) -> None:
        """One verdict has come."""
        if self.verdicts[place] is None:
            self.verdicts[place] = verdict
            self._left -= 1
            if not self._left:
                self.end()

    def end(self) -> None:
        """No more verdicts come."""
        if not self.done.done():
            self.done.set_result(None)


class _PendingConfirm:
    """Stands for one message among the channel's confirmations; the client talks to it as to a future."""

    __slots__ = ("_batch", "_channel", "_message_id", "_place")

    def __init__(self, channel: WireChannel, batch: _Batch, place: int, message_id: str) -> None:
        self._channel = channel
        self._batch = batch
        self._place = place
        self._message_id = message_id

    def done(self) -> bool:
        """Whether the verdict has come."""
        return self._batch.verdicts[self._place] is not None

    def cancelled(self) -> bool:
        """Never: nobody waits on one message alone."""
        return False

    def set_result(self, _: object) -> None:
        """The broker has it."""
        self._settle(CONFIRMED)

    def set_exception(self, error: BaseException) -> None:
        """The broker returned it, or could not take it."""
        if isinstance(error, PublishError):
            self._settle(Published(Verdict.RETURNED, str(error.args[0])))
        elif isinstance(error, DeliveryError):
            self._settle(Published(Verdict.NACKED, "the broker could not take it now"))

    def _settle(self, verdict: Published) -> None:
        self._channel.message_id_delivery_tag.pop(self._message_id, None)
        self._batch.settle(self._place, verdict)


class _ConfirmChannel:
    """One publishing channel; when it ends, `refused` says whether the broker closed it for what was published."""

    def __init__(self, channel: WireChannel) -> None:
        self._channel = channel
        ConfirmTap(channel)
        self._flying: set[_Batch] = set()
        self.closed = False
        self.refused: str | None = None
        channel.closing.add_done_callback(self._on_close)

    def _on_close(self, closing: asyncio.Future[object]) -> None:
        self.closed = True
        self.refused = None if closing.cancelled() else refusal(closing.exception())
        for batch in self._flying:
            batch.end()

    @property
    def ending(self) -> bool:
        """Whether the broker has closed it and we have said yes: one more frame on it would cost the connection."""
        # The client keeps this to itself, and uses it so before every frame of its own.
        closed = getattr(self._channel, "_Channel__close_event", None)
        return isinstance(closed, asyncio.Event) and closed.is_set()

    async def send(
        self, messages: Sequence[Message], ids: Sequence[str], behind: Sequence[str] = ()
    ) -> list[Published | None]:
        """Write and wait for the answers; nothing is taken where an exchange `behind` theirs does not stand.

        Raises `Broken` when nothing was written.
        """
        batch = _Batch(len(messages))
        self._flying.add(batch)
        try:
            await asked(self._write(messages, ids, behind, batch))
            if self.closed:
                batch.end()
            await batch.done
        finally:
            self._flying.discard(batch)
        return batch.verdicts

    async def _write(
        self, messages: Sequence[Message], ids: Sequence[str], behind: Sequence[str], batch: _Batch
    ) -> None:
        channel = self._channel
        async with channel.lock:
            if self.closed or self.ending:
                raise ChannelInvalidStateError("the channel was closed")
            first = channel.delivery_tag + 1
            try:
                payload = bytearray().join(standing(channel.number, name) for name in behind)
                for place, (message, message_id) in enumerate(zip(messages, ids, strict=True)):
                    payload += frames_of(channel, message, message_id)
                    channel.delivery_tag += 1
                    slot = _PendingConfirm(channel, batch, place, message_id)
                    channel.confirmations[channel.delivery_tag] = cast("ConfirmationType", slot)
                    channel.message_id_delivery_tag[message_id] = channel.delivery_tag
                await channel.write_queue.put(ChannelFrame(payload=bytes(payload), should_close=False))
            except BaseException:
                # Nothing has left; the broker must not miss these numbers.
                for tag in range(first, channel.delivery_tag + 1):
                    channel.confirmations.pop(tag, None)
                for message_id in ids:
                    channel.message_id_delivery_tag.pop(message_id, None)
                channel.delivery_tag = first - 1
                raise

    async def close(self) -> None:
        """Close the channel, when it is open."""
        if not self.closed:
            try:
                await asked(self._channel.close())
            except (Broken, Refused):
                self.closed = True


class Publisher:
    """Publishes over one line, on one channel, and on others while it looks for a culprit.

    `mend` declares again: called where an exchange does not stand, or no queue took what was published.
    """

    def __init__(self, line: LastingConnection, name: str, mend: Callable[[], Awaitable[None]]) -> None:
        self._line = line
        self._mend = mend
        self._mender: asyncio.Task[object] | None = None
        self._whole = asyncio.Event()
        self._name = name
        self._outlet: _ConfirmChannel | None = None
        self._opening = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._boot = f"{datetime.now(UTC).timestamp():.6f}"
        self._bytes = 0
        self._room = asyncio.Event()
        self._waiting: dict[int, float] = {}
        #: What stands behind an exchange and must still be there when something is published to it.
        self.behind: dict[str, tuple[str, ...]] = {}

    @property
    def waiting_since(self) -> float | None:
        """Since when the longest publish under way has waited (monotonic seconds), None when there is none."""
        return next(iter(self._waiting.values()), None)

    async def came_up(self, session: OpenConnection) -> None:
        """A new session: open its channel."""
        self._outlet = await self._open(session)

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """One verdict a message, in order."""
        self._line.check()
        verdicts = [unsendable(message) for message in messages]
        rest = [place for place, verdict in enumerate(verdicts) if verdict is None]
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().time()
        size = sum(len(messages[place].body) for place in rest)
        try:
            await self._await_room(size)
            if rest:
                answers = await self._together([messages[place] for place in rest])
                for place, answer in zip(rest, answers, strict=True):
                    verdicts[place] = answer
        finally:
            self._bytes -= size
            self._room.set()
            del self._waiting[number]
        return [verdict or self._unknown() for verdict in verdicts]

    async def _await_room(self, size: int) -> None:
        while self._bytes and self._bytes + size > MAX_FLYING_BYTES:
            self._room.clear()
            await self._room.wait()
        self._bytes += size

    async def mended(self, mend: Callable[[], Awaitable[None]]) -> None:
        """Let nobody else publish while `mend` declares: half declared, a broker confirms what not all get to hear."""
        self._mender = asyncio.current_task()
        try:
            await mend()
        finally:
            self._mender = None
            self._whole.set()

    async def _until_mended(self) -> None:
        while self._mender is not None and self._mender is not asyncio.current_task():
            self._whole.clear()
            await self._whole.wait()

    def _unknown(self, why: str = "") -> Published:
        return Published(Verdict.UNKNOWN, why or self._line.reason or "the connection was lost before the answer")

    async def _together(self, messages: list[Message]) -> list[Published | None]:
        for _ in range(WRITE_TRIES):
            session = self._line.session if self._line.open else None
            if session is None:
                return [self._unknown()] * len(messages)
            await session.until_unblocked()
            try:
                outlet = await self._present(session)
                await self._until_mended()
                answers = await self._send(outlet, messages)
            except (Broken, Refused):
                # Not written: the channel was closed for somebody else's message, or the connection is lost.
                continue
            if None in answers and outlet.refused is not None:
                if missing(outlet.refused):
                    await self._mend()
                return await self._search(messages, answers)
            if any(answer is not None and answer.verdict is Verdict.RETURNED for answer in answers):
                await self._mend()
            return answers
        # Others' messages close each channel before this batch gets there: it takes one of its own.
        return await self._search(messages, [None] * len(messages))

    async def _search(self, messages: list[Message], answers: list[Published | None]) -> list[Published | None]:
        """Find the culprit: each unanswered message alone, on a channel that only it can close."""
        probe: _ConfirmChannel | None = None
        for place, message in enumerate(messages):
            if answers[place] is not None:
                continue
            try:
                if probe is None or probe.closed:
                    session = await asyncio.wait_for(self._line.until_open(), SEARCH_SECONDS)
                    await session.until_unblocked()
                    probe = await self._open(session)
                await self._until_mended()
                answers[place] = (await self._send(probe, [message]))[0]
            except TimeoutError:  # what is left is as unknown as this one
                break
            except (Broken, Refused) as failed:
                answers[place] = self._unknown(words(failed))
            else:
                if answers[place] is None and probe.refused is not None:
                    answers[place] = self._refused(message, probe.refused)
        if probe is not None:
            await probe.close()
        return answers

    def _refused(self, message: Message, said: str) -> Published:
        """It will never be taken; but where only an exchange behind its own is missing, it waits for that."""
        absent = missing(said) and any(f"'{name}'" in said for name in self.behind.get(message.exchange, ()))
        return Published(Verdict.RETURNED if absent else Verdict.REFUSED, said)

    async def _send(self, outlet: _ConfirmChannel, messages: Sequence[Message]) -> list[Published | None]:
        ids = [f"{self._name}-{self._boot}-{next(self._numbers)}" for _ in messages]
        exchanges = dict.fromkeys(message.exchange for message in messages)
        return await outlet.send(messages, ids, [name for each in exchanges for name in self.behind.get(each, ())])

    async def _present(self, session: OpenConnection) -> _ConfirmChannel:
        async with self._opening:
            if self._outlet is None or self._outlet.closed or self._outlet.ending:
                self._outlet = await self._open(session)
            return self._outlet

    @staticmethod
    async def _open(session: OpenConnection) -> _ConfirmChannel:
        return _ConfirmChannel(cast("WireChannel", await session.channel(confirms=True)))
