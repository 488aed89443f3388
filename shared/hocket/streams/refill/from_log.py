"""Finds events in the log by their inbox keys; each is sent again as the attempt that was lost (RULES 7.5 j)."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hocket.broker.port import Delivery, Message, Verdict
from hocket.broker.topology import LOG, routing_key
from hocket.delivery.arrival import Arrival
from hocket.delivery.ending.dead_letter import body_of, headers_of
from hocket.delivery.ordering.turn import HISTORY
from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import TransportError
from hocket.runtime import Runtime
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import Backfill
from hocket.streams.end import ANSWER_SECONDS, end_of
from hocket.streams.first import first_of
from hocket.streams.refill.waiting import Waiting, still_waiting

#: Messages of the log that the broker sends ahead, and attempts that are sent together.
PREFETCH, BATCH = 256, 64
#: How far the clock of who said an event may be off: the log is read from so much earlier.
CLOCKS = timedelta(minutes=10)
#: The version of the ids that name the moment at which they were made.
_TIMED = 7


@dataclass(slots=True)
class FromLog:
    """One reading of the log for attempts that were lost; `runners` by the queues of their subscriptions."""

    runtime: Runtime
    runners: Mapping[str, SubscriptionRunner]
    sent: int = 0
    _wanted: dict[bytes, Waiting] = field(default_factory=dict)
    _heard: dict[str, list[SubscriptionRunner]] = field(default_factory=dict)
    _histories: Mapping[str, Backfill] = field(default_factory=dict)
    _found: list[tuple[Waiting, Message]] = field(default_factory=list)

    async def send(self, lost: Sequence[Waiting]) -> list[Waiting]:
        """Send them again; those that the log does not have, or has in another form, are given back.

        Raises `StoreError` or `TransportError`; then some may be sent, and are seen when they are sent again.
        """
        self._wanted = {each.key: each for each in lost}
        for runner in self.runners.values():
            for type_, version in runner.subscription.bound:
                self._heard.setdefault(routing_key(type_, version), []).append(runner)
        self._histories = await BackfillRows(self.runtime.store).all()
        if end := await end_of(self.runtime.transport, LOG):
            await self._read(await self._start(lost), end)
        await self._publish()
        async with self.runtime.store.read() as db:  # what ended meanwhile is not lost
            return await still_waiting(db, list(self._wanted.values()))

    async def _start(self, lost: Sequence[Waiting]) -> int | None:
        """Where the earliest may stand: ids of the kit tell when they were made; None: at the log's start."""
        moments = [_moment(each.event_id) for each in lost]
        known = [each for each in moments if each is not None]
        if len(known) < len(moments):
            return None
        first = await first_of(self.runtime.transport, LOG, min(known) - CLOCKS)
        return None if first is None else first.offset

    async def _read(self, start: int | None, end: int) -> None:
        came: deque[Delivery] = deque()
        arrived = asyncio.Event()

        def deliver(delivery: Delivery) -> None:
            came.append(delivery)
            arrived.set()

        consumer = await self.runtime.transport.consume(LOG, prefetch=PREFETCH, deliver=deliver, offset=start)
        read = -1
        try:
            while self._wanted and read < end - 1:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await arrived.wait()
                except TimeoutError:
                    why = f"the log ends at {end} and sent nothing behind {read} in {ANSWER_SECONDS:g} s"
                    raise TransportError(why) from None
                arrived.clear()
                batch = [came.popleft() for _ in range(len(came))]
                for each in batch:
                    read = max(read, each.offset or 0)
                    self._match(each)
                consumer.ack([each.handle for each in batch])
                if len(self._found) >= BATCH:
                    await self._publish()
        finally:
            await consumer.close()

    def _match(self, delivery: Delivery) -> None:
        for runner in self._heard.get(delivery.routing_key, ()):
            past = self._is_past(runner, delivery.offset or 0)
            queue = self._queue_of(runner, past)
            taken = queue if runner.consumer is not None else next(iter(runner.past))
            arrival = runner.arrival_of(delivery._replace(queue=taken), self.runtime.clock.now())
            lost = self._wanted.get(arrival.key)
            if lost is None or arrival.outcome is not None or arrival.hash != lost.hash or lost.death:
                continue  # edited by the desk, or a replay of it: only the desk has it
            del self._wanted[lost.key]
            if not runner.holds(arrival):
                self._found.append((lost, _message(arrival, queue, lost.attempt + 1, past)))

    def _is_past(self, runner: SubscriptionRunner, offset: int) -> bool:
        """Whether it came to the subscription as history."""
        row = self._histories.get(runner.subscription.identity)
        return runner.consumer is None or (row is not None and offset < row.next)

    def _queue_of(self, runner: SubscriptionRunner, past: bool) -> str:
        """Where its attempts go: history has a queue of its own, also what is left of it after the cut-over."""
        subscription = runner.subscription
        return subscription.history_queue if past and subscription.history_queue in runner.past else subscription.queue

    async def _publish(self) -> None:
        found, self._found = self._found, []
        if not found:
            return
        async with self.runtime.store.read() as db:
            still = set(await still_waiting(db, [lost for lost, _ in found]))
        messages = [message for lost, message in found if lost in still]
        for answer in await self.runtime.transport.publish(messages) if messages else ():
            if answer.verdict is not Verdict.CONFIRMED:
                raise TransportError(f"attempts could not be sent to their queue again: {answer.reason}")
        self.sent += len(messages)


def _message(arrival: Arrival, queue: str, attempt: int, past: bool) -> Message:
    """The attempt as the outbox would have sent it (RULES 3.5)."""
    known, service = arrival.known, arrival.subscription.service
    headers: dict[str, str | int] = {**headers_of(arrival), "hocket-attempt": attempt}
    if past and arrival.subscription.ordered:
        headers[HISTORY] = 1
    if known.traceparent:
        headers["traceparent"] = known.traceparent
    body, content_type = body_of(arrival)
    return Message(
        service, queue, body, content_type, headers, type=known.type, correlation_id=known.correlation_id,
        app_id=service, timestamp=known.time.timestamp(),
    )  # fmt: skip


def _moment(event_id: str) -> datetime | None:
    """When an id was made; None where it does not say."""
    try:
        made = UUID(event_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC) if made.version == _TIMED else None
