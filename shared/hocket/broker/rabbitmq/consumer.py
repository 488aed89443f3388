"""Consuming one queue: again after every loss, with acks that cost the caller nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel as WireChannel
from pamqp.common import FieldValue

from hocket.broker.port import Deliver, Delivery, Handle
from hocket.broker.rabbitmq.ack_tags import Ack, AckTags
from hocket.broker.rabbitmq.connection import LastingConnection, backoff
from hocket.broker.rabbitmq.errors import Broken, Refused, asked, missing
from hocket.broker.rabbitmq.protocol.delivery_codec import ContentHeader, DeliverMethod
from hocket.broker.rabbitmq.protocol.delivery_tap import DeliveryTap
from hocket.errors import TransportError

#: Round trips between the last ack and the close of a channel (RULES 1.2): a quorum queue takes acks in portions.
CLOSING_ROUND_TRIPS = 2
#: Where reading a stream starts when nobody says.
FIRST = "first"


class RabbitConsumer:
    """One consumer on a channel of its own; its epoch goes up whenever that channel is lost.

    `stream` says whether the queue is one, None when this process has not declared it: then the broker tells.
    """

    def __init__(
        self,
        line: LastingConnection,
        queue: str,
        *,
        prefetch: int,
        deliver: Deliver,
        offset: int | None,
        stream: bool | None,
        chance: random.Random,
        mend: Callable[[], Awaitable[None]],
        ended: Callable[["RabbitConsumer"], None],
    ) -> None:
        self._line = line
        self._queue = queue
        self._prefetch = prefetch
        self._deliver = deliver
        self._next = offset
        self._stream = True if offset is not None else stream
        self._chance = chance
        self._mend = mend
        self._on_end = ended
        self._epoch = 1
        self._channel: Wire | None = None
        self._consumer_tag = ""
        self._consuming = False
        self._limited = False
        self._cancelled = False
        self._closed = False
        self._tags = AckTags()
        self._finished: list[int] = []
        self._returned: list[int] = []
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None
        #: Why it does not consume now, in a sentence; empty while it does.
        self.reason = ""

    # -- the port ------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The present channel epoch."""
        return self._epoch

    async def begin(self) -> None:
        """Consume as soon as the link is up; `TransportError` when the broker does not let us."""
        self._runner = asyncio.create_task(self._run(), name=f"consumer {self._queue}")
        self._writer = asyncio.create_task(self._write(), name=f"acks {self._queue}")
        self._runner.add_done_callback(self._on_run_end)
        try:
            await self._began
        except BaseException:
            await self.close()
            raise

    def ack(self, handles: Sequence[Handle]) -> None:
        """Settle; written with all others of this turn of the loop, older epochs dropped."""
        self._finished.extend(handle.tag for handle in handles if handle.epoch == self._epoch)
        self._wake.set()

    def give_back(self, handles: Sequence[Handle]) -> None:
        """Return to the queue (`nack`, requeue)."""
        self._returned.extend(handle.tag for handle in handles if handle.epoch == self._epoch)
        self._wake.set()

    def limit(self, prefetch: int) -> None:
        """Hand over at most so many more; the broker is asked by cancelling and consuming again on the same channel."""
        self._prefetch = prefetch
        self._limited = True
        self._news.set()

    async def cancel(self) -> None:
        """No delivery comes after this returns; what was delivered can still be settled."""
        if self._cancelled:
            return
        await self._end(self._runner)
        if self._channel is not None and self._consuming:
            try:
                await asked(self._channel.basic_cancel(self._consumer_tag))
            except (Broken, Refused) as lost:
                self.reason = str(lost)
        self._cancelled = True

    async def close(self) -> None:
        """Write what is settled, wait until the broker has it, close; what is not settled goes back."""
        if self._closed:
            return
        self._closed = True
        await self.cancel()
        self._wake.set()
        if self._writer is not None:
            await self._writer
        channel = self._channel
        try:
            await self._flush()
            if channel is not None and not channel.is_closed:
                for _ in range(CLOSING_ROUND_TRIPS):
                    await asked(channel.queue_declare(queue=self._queue, passive=True))
                await asked(channel.close())
        except (Broken, Refused) as lost:
            self.reason = str(lost)
        finally:
            self._lose()
            self._on_end(self)

    # -- inside --------------------------------------------------------------------------------------------------

    @staticmethod
    async def _end(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _on_run_end(self, runner: asyncio.Task[None]) -> None:
        if self._began.done():
            return
        error = None if runner.cancelled() else runner.exception()
        self._began.set_exception(error or TransportError(f"consuming {self._queue} was ended before it began"))

    async def _run(self) -> None:
        attempt = 0
        while True:
            session = await self._line.until_open()
            self._news.clear()
            try:
                if self._channel is None or self._channel.is_closed:
                    self._open(await session.channel(confirms=False))
                await self._consume()
            except (Broken, Refused) as failed:
                self._lose()
                self.reason = f"queue {self._queue} cannot be consumed: {failed}"
                if isinstance(failed, Refused) and not self._began.done():
                    raise TransportError(self.reason) from failed
                if missing(failed):
                    await self._mend()
                attempt += 1
            else:
                attempt, self.reason = 1, ""
                if not self._began.done():
                    self._began.set_result(None)
                await self._news.wait()
                if self._limited and self._channel is not None:
                    continue
            await asyncio.sleep(backoff(attempt, self._chance))

    def _open(self, channel: Wire) -> None:
        self._channel = channel
        self._tags = AckTags()
        self._finished.clear()
        self._returned.clear()
        channel.on_consumer_cancel_callbacks.add(self._on_broker_cancel)
        epoch = self._epoch

        def arrived(said: DeliverMethod, content: ContentHeader, body: bytes) -> None:
            if epoch == self._epoch and not self._cancelled:
                self._hand_over(said, content, body)

        DeliveryTap(cast("WireChannel", channel), arrived)
        channel.closing.add_done_callback(lambda _: self._lose() if self._channel is channel else None)

    async def _consume(self) -> None:
        channel = self._channel
        if channel is None:
            raise Broken("the channel was lost")
        self._limited = False
        if self._consuming:
            await asked(channel.basic_cancel(self._consumer_tag))
            self._consuming = False
        if not self._prefetch:
            return
        await asked(channel.basic_qos(prefetch_count=self._prefetch))

        async def unasked(_: DeliveredMessage) -> None:
            """The client wants a callback; deliveries never reach it (`DeliveryTap`)."""

        arguments: dict[str, FieldValue] = {}
        if self._stream is not False:
            arguments["x-stream-offset"] = FIRST if self._next is None else self._next
        try:
            said = await asked(channel.basic_consume(self._queue, unasked, arguments=arguments))
        except Refused as refused:
            if self._stream is None and "x-stream-offset" in str(refused):
                self._stream = False
                raise Broken("it is no stream; consuming it as a queue") from refused
            raise
        self._consumer_tag = said.consumer_tag or ""
        self._consuming = True

    def _hand_over(self, said: DeliverMethod, content: ContentHeader, body: bytes) -> None:
        offset = content.headers.get("x-stream-offset")
        handle = Handle(self._epoch, said.tag)
        if isinstance(offset, int):
            if self._next is not None and offset < self._next:
                # A stream may begin a chunk too early; what was seen is credit only.
                self.ack([handle])
                return
            self._next = offset + 1
        else:
            offset = None
        delivery = Delivery(
            self._queue, handle, body, content.content_type, content.headers, content.message_id, said.exchange,
            said.routing_key, said.redelivered, offset,
        )  # fmt: skip
        self._deliver(delivery)

    async def _on_broker_cancel(self, _: object) -> None:
        """The broker ended the consumer (queue deleted or moved): what was delivered can still be settled."""
        self._consuming = False
        self._news.set()

    def _lose(self) -> None:
        """The channel is gone: its handles are void."""
        if self._channel is not None:
            self._channel = None
            self._consuming = False
            self._epoch += 1
            self._finished.clear()
            self._returned.clear()
            self._news.set()

    async def _write(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._flush()
            except (Broken, Refused):
                # The loss of the channel is noticed by itself; its deliveries come again.
                continue

    async def _flush(self) -> None:
        channel, tags = self._channel, self._tags
        finished, self._finished = self._finished, []
        returned, self._returned = self._returned, []
        if channel is None:
            return
        acks: list[Ack] = tags.finished(finished)
        for tag, multiple in acks:
            await asked(channel.basic_ack(tag, multiple=multiple, wait=False))
        for tag in tags.returned(returned):
            await asked(channel.basic_nack(tag, requeue=True, wait=False))
