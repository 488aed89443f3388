"""Consumes one queue: consumes again after every loss, and writes acks in the background."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.channel import Channel as ClientChannel
from pamqp.common import FieldValue

from hocket.broker.port import LAST, NEXT, Deliver, Delivery, Handle, Start
from hocket.broker.rabbitmq.ack_tags import Ack, AckTags
from hocket.broker.rabbitmq.connection import LastingConnection, backoff
from hocket.broker.rabbitmq.errors import Broken, Refused, client_call, missing, not_yet
from hocket.broker.rabbitmq.protocol.delivery_codec import ContentHeader, DeliverMethod
from hocket.broker.rabbitmq.protocol.delivery_tap import DeliveryTap
from hocket.errors import TransportError

#: Round trips between the last ack and the close of a channel (RULES 1.2): a quorum queue applies acks in batches.
CLOSING_ROUND_TRIPS = 2
#: Where reading a stream starts that has no number; by default at the first message that is kept.
STARTS: dict[Start | None, str] = {None: "first", NEXT: "next", LAST: "last"}


class RabbitConsumer:
    """One consumer on a separate channel; its epoch increases whenever that channel is lost.

    `stream` is None when this process has not declared the queue; then the broker's answer tells whether it is a
    stream. `redeclare` is called when the queue is missing, `on_end` when the consumer is closed.
    """

    def __init__(
        self,
        connection: LastingConnection,
        queue: str,
        *,
        prefetch: int,
        deliver: Deliver,
        offset: Start | None,
        stream: bool | None,
        chance: random.Random,
        redeclare: Callable[[], Awaitable[None]],
        on_end: Callable[["RabbitConsumer"], None],
        whole: bool = False,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._prefetch = prefetch
        self._deliver = deliver
        self._next: Start | None = offset
        self._stream = True if offset is not None else stream
        self._chance = chance
        self._redeclare = redeclare
        self._on_end = on_end
        self._whole = whole
        self._epoch = 1
        self._channel: AbstractChannel | None = None
        self._consumer_tag = ""
        self._consuming = False
        self._limited = False
        self._cancelled = False
        self._closed = False
        self._tags = AckTags()
        self._to_ack: list[int] = []
        self._to_return: list[int] = []
        self._has_acks = asyncio.Event()
        self._changed = asyncio.Event()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None
        #: Why it is not consuming now, as a sentence; empty while it consumes.
        self.reason = ""

    # -- the port ------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The current channel epoch."""
        return self._epoch

    async def start(self) -> None:
        """Consume as soon as the connection is open; `TransportError` when the broker refuses."""
        self._runner = asyncio.create_task(self._run(), name=f"consumer {self._queue}")
        self._writer = asyncio.create_task(self._write(), name=f"acks {self._queue}")
        self._runner.add_done_callback(self._on_run_done)
        try:
            await self._started
        except BaseException:
            await self.close()
            raise

    def ack(self, handles: Sequence[Handle]) -> None:
        """Settle; written with all others of this iteration of the event loop. Older epochs are ignored."""
        self._to_ack.extend(handle.tag for handle in handles if handle.epoch == self._epoch)
        self._has_acks.set()

    def give_back(self, handles: Sequence[Handle]) -> None:
        """Return to the queue (`nack` with requeue); a whole consumer returns it with its channel."""
        if self._whole:
            return
        self._to_return.extend(handle.tag for handle in handles if handle.epoch == self._epoch)
        self._has_acks.set()

    def limit(self, prefetch: int) -> None:
        """Change the prefetch: cancels and consumes again on the same channel, which a whole consumer never does."""
        if self._whole:
            return
        self._prefetch = prefetch
        self._limited = True
        self._changed.set()

    async def cancel(self) -> None:
        """Stop deliveries; none arrives after this returns. Earlier ones can still be settled."""
        if self._cancelled:
            return
        await self._cancel_task(self._runner)
        if self._channel is not None and self._consuming and not self._whole:
            try:
                await client_call(self._channel.basic_cancel(self._consumer_tag))
            except (Broken, Refused) as lost:
                self.reason = str(lost)
        self._cancelled = True

    async def known(self) -> bool:
        """Whether the broker answers on this channel, and it was not lost meanwhile."""
        channel, epoch = self._channel, self._epoch
        if channel is None or channel.is_closed or not self._consuming:
            return False
        try:
            await client_call(channel.queue_declare(queue=self._queue, passive=True))
        except (Broken, Refused):
            return False
        return epoch == self._epoch and self._consuming

    async def renew(self) -> None:
        """Close the channel; the consumer notices and opens the next one."""
        channel = self._channel
        self._lose()
        if channel is not None and not channel.is_closed:
            with contextlib.suppress(Broken, Refused):
                await client_call(channel.close())

    async def close(self) -> None:
        """Write pending acks, wait until the broker has them, close; what is not settled returns to the queue."""
        if self._closed:
            return
        self._closed = True
        await self.cancel()
        self._has_acks.set()
        if self._writer is not None:
            await self._writer
        channel = self._channel
        try:
            await self._flush()
            if channel is not None and not channel.is_closed:
                for _ in range(CLOSING_ROUND_TRIPS):
                    await client_call(channel.queue_declare(queue=self._queue, passive=True))
                await client_call(channel.close())
        except (Broken, Refused) as lost:
            self.reason = str(lost)
        finally:
            self._lose()
            self._on_end(self)

    # -- inside --------------------------------------------------------------------------------------------------

    @staticmethod
    async def _cancel_task(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _on_run_done(self, runner: asyncio.Task[None]) -> None:
        if self._started.done():
            return
        error = None if runner.cancelled() else runner.exception()
        self._started.set_exception(error or TransportError(f"consuming {self._queue} was stopped before it started"))

    async def _run(self) -> None:
        attempt = 0
        while True:
            session = await self._connection.until_open()
            self._changed.clear()
            try:
                if self._channel is None or self._channel.is_closed:
                    self._open(await session.channel(confirms=False))
                await self._consume()
            except (Broken, Refused) as failed:
                self._lose()
                self.reason = f"queue {self._queue} cannot be consumed: {failed}"
                if isinstance(failed, Refused) and not self._started.done() and not not_yet(failed):
                    raise TransportError(self.reason) from failed
                if missing(failed) and not not_yet(failed):
                    await self._redeclare()
                attempt += 1
            else:
                attempt, self.reason = 1, ""
                if not self._started.done():
                    self._started.set_result(None)
                await self._changed.wait()
                await self._end_cancelled_stream()
                if self._limited and self._channel is not None:
                    continue
            await asyncio.sleep(backoff(attempt, self._chance))

    async def _end_cancelled_stream(self) -> None:
        """A stream that the broker took away may be another one when it is there again: its epoch ends (RULES 7.3)."""
        channel = self._channel
        if self._stream and channel is not None and not self._consuming and not self._limited:
            self._lose()
            with contextlib.suppress(Broken, Refused):
                await client_call(channel.close())

    def _open(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._tags = AckTags()
        self._to_ack.clear()
        self._to_return.clear()
        channel.on_consumer_cancel_callbacks.add(self._on_broker_cancel)
        epoch = self._epoch

        def on_delivery(method: DeliverMethod, header: ContentHeader, body: bytes) -> None:
            if epoch == self._epoch and not self._cancelled:
                self._hand_over(method, header, body)

        DeliveryTap(cast("ClientChannel", channel), on_delivery)
        channel.closing.add_done_callback(lambda _: self._lose() if self._channel is channel else None)

    async def _consume(self) -> None:
        channel = self._channel
        if channel is None:
            raise Broken("the channel was lost")
        self._limited = False
        if self._consuming:
            await client_call(channel.basic_cancel(self._consumer_tag))
            self._consuming = False
        if not self._prefetch:
            return
        await client_call(channel.basic_qos(prefetch_count=self._prefetch))

        async def unused(_: DeliveredMessage) -> None:
            """The client requires a callback; deliveries never reach it (`DeliveryTap`)."""

        arguments: dict[str, FieldValue] = {}
        if self._stream is not False:
            arguments["x-stream-offset"] = STARTS.get(self._next, self._next)
        try:
            answer = await client_call(channel.basic_consume(self._queue, unused, arguments=arguments))
        except Refused as refused:
            if self._stream is None and "x-stream-offset" in str(refused):
                self._stream = False
                raise Broken("it is not a stream; it is consumed as a queue") from refused
            raise
        self._consumer_tag = answer.consumer_tag or ""
        self._consuming = True

    def _hand_over(self, method: DeliverMethod, header: ContentHeader, body: bytes) -> None:
        offset = header.headers.get("x-stream-offset")
        handle = Handle(self._epoch, method.tag)
        if isinstance(offset, int):
            if isinstance(self._next, int) and offset < self._next:
                # A stream may start before the offset; what was already delivered only returns its credit.
                self.ack([handle])
                return
            self._next = offset + 1
        else:
            offset = None
        delivery = Delivery(
            self._queue, handle, body, header.content_type, header.headers, header.message_id, method.exchange,
            method.routing_key, method.redelivered, offset,
        )  # fmt: skip
        self._deliver(delivery)

    async def _on_broker_cancel(self, _: object) -> None:
        """The broker ended the consumer (queue deleted or moved); what was delivered can still be settled."""
        self._consuming = False
        self._changed.set()

    def _lose(self) -> None:
        """The channel is lost: its handles are invalid."""
        if self._channel is not None:
            self._channel = None
            self._consuming = False
            self._epoch += 1
            self._to_ack.clear()
            self._to_return.clear()
            self._changed.set()

    async def _write(self) -> None:
        while not self._closed:
            await self._has_acks.wait()
            self._has_acks.clear()
            try:
                await self._flush()
            except (Broken, Refused):
                # The loss of the channel is noticed separately; its deliveries arrive again.
                continue

    async def _flush(self) -> None:
        channel, tags = self._channel, self._tags
        finished, self._to_ack = self._to_ack, []
        returned, self._to_return = self._to_return, []
        if channel is None:
            return
        acks: list[Ack] = tags.finished(finished)
        for tag, multiple in acks:
            await client_call(channel.basic_ack(tag, multiple=multiple, wait=False))
        for tag in tags.returned(returned):
            await client_call(channel.basic_nack(tag, requeue=True, wait=False))
