"""Compares the log with the inbox: an event that a removed binding kept away is taken from the log (RULES 4.8)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hocket.broker.port import NEXT, Consumer, Delivery, Handle, Message, Verdict
from hocket.broker.topology import LOG, routing_key
from hocket.delivery.arrival import Arrival
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.delivery.runner import SubscriptionRunner
from hocket.envelope.cloudevent import CONTENT_TYPE, encode
from hocket.envelope.keys import digest
from hocket.errors import HocketError, StoreError, TransportError
from hocket.outcome import Bury, Done
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.streams.elsewhere import not_elsewhere
from hocket.streams.end import ANSWER_SECONDS, end_of
from hocket.streams.log_place import LogPlace
from hocket.streams.waiting_events import WaitingEvent, WaitingEvents

#: Seconds that an event has to get through its queue into the inbox before it is looked for.
GRACE_SECONDS = 3.0
#: Seconds between two looks at an event that may still be on its way, and between two pauses of the reading.
LOOK_SECONDS = 1.0
#: Events that are looked up together.
BATCH = 64
#: How often an event is sent to its queue before it is given up.
MOST_SENT = 5
#: Unsettled messages that the broker sends; and events, and bytes of bodies, that wait to be looked for.
PREFETCH, MOST_WAITING, MOST_BYTES = 64, 4096, 8 * 1024 * 1024
#: Seconds over which the rate of the log is measured.
WINDOW_SECONDS = 5.0
#: Seconds between two looks whether the connection was lost.
EPOCH_SECONDS = 10.0
#: Seconds between two declarations because of what was found.
DECLARE_SECONDS = 5.0
#: Deliveries that left no inbox row and are remembered.
MOST_ROWLESS = 10_000
CHECK_BACKOFF = Backoff(first=0.5, longest=10.0)


@dataclass(slots=True)
class LogCheck:
    """Checks the log for one service.

    Of a log that is faster than `HOCKET_LOG_CHECK_EVENTS_PER_SECOND` it compares a part; once it has found an event
    missing, it reads everything since the last part that was complete. `reason` says that events are being taken, for
    readiness.
    """

    runtime: Runtime
    runners: Mapping[str, SubscriptionRunner]
    declare: Callable[[], Awaitable[None]]
    patrol: str = ""  # the name of its place, where it follows a backfill and compares everything
    reason: str = ""
    _heard: dict[str, list[SubscriptionRunner]] = field(default_factory=dict)
    _events: WaitingEvents = field(default_factory=WaitingEvents)
    _acks: list[Handle] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _consumer: Consumer | None = None
    _place: LogPlace = field(init=False)
    _next: int = 0  # everything before this offset was passed on to `_events`, or is none of ours
    _gap: int | None = None  # what was said from here on was read in parts, and no part since was found complete
    _epoch: int = 0  # of the consumer; another one may read a log that was made anew
    _from: int = 0  # what stands before it is read for its mark alone
    _silent: float = 0.0  # when a message that the log holds must have come; 0: none is due, or one came
    _anew: bool = False  # a message shows that the log was made anew: it is read from its start
    _whole: int = 0  # up to this offset everything is read, whatever the rate
    _read: int = 0  # messages of the current window
    _window: float = 0.0
    _resume: float = 0.0  # when a paused reading goes on
    _declared: float = -DECLARE_SECONDS
    _said: str = ""  # the last trouble
    _rowless: dict[bytes, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._place = LogPlace(self.runtime)

    async def prepare(self) -> None:
        """At the first start, keep where the log ends, before the service is ready: from there on it is compared."""
        for runner in self.runners.values():
            for type_, version in runner.subscription.bound:
                self._heard.setdefault(routing_key(type_, version), []).append(runner)
        if self._heard:
            with suppress(StoreError, TransportError):  # `run` tries again, and says so
                self._place.reader = self._name
                await self._place.find()
                if not self._place.known:
                    await self._await_first()

    async def run(self) -> None:
        """Check until cancelled; after `prepare`."""
        if not self._heard:
            return
        if self._consumer is None:
            await self._repeated(self._begin)
        while True:
            await self._until_due()
            await self._repeated(self._begin if self._broken else self._look)

    def settled(self, arrivals: Sequence[Arrival]) -> None:
        """The endings of these are written. What leaves no inbox row (RULES 2.6, a letter) has arrived all the same."""
        self._events.settled(arrivals)
        for each in arrivals:
            done = each.subscription.idempotent and type(each.outcome) is Done
            if done or (type(each.outcome) is Bury and not each.outcome.row):
                self._rowless[each.key] = None
                if len(self._rowless) > MOST_ROWLESS:
                    del self._rowless[next(iter(self._rowless))]

    @property
    def compared(self) -> int:
        """The offset of the log up to which everything was compared, as it is stored."""
        return self._place.stored.next

    @property
    def _broken(self) -> bool:
        if self._silent and self.runtime.clock.monotonic() >= self._silent:
            return True  # it was made anew before it was read: at an offset behind its end nothing comes
        return self._anew or (self._consumer is not None and self._consumer.epoch != self._epoch)

    async def _repeated(self, work: Callable[[], Awaitable[None]]) -> None:
        def failed(error: HocketError) -> None:
            if str(error) != self._said:  # once each: without the right to read the log it fails for ever
                self._said = str(error)
                self.runtime.trouble("the log could not be compared with the inbox", reason=str(error))

        await until_done(work, CHECK_BACKOFF, self.runtime.chance, on=(StoreError, TransportError), failed=failed)

    @property
    def _name(self) -> str:
        """Other bindings are another reader: a new handler is not given what was said before it was bound."""
        if self.patrol:
            return self.patrol
        bindings = [f"{key} {runner.subscription.queue}" for key, several in self._heard.items() for runner in several]
        return f"{self.runtime.service}.log-check.{digest(*sorted(bindings)).hex()[:16]}"

    async def _await_first(self) -> None:
        await self._read_from(NEXT)
        self._place.await_first()

    async def _begin(self) -> None:
        await self._place.find()
        if not self._place.known:
            await self._await_first()
            return
        self._whole = await end_of(self.runtime.transport, LOG)
        if self._place.stored.next and not self._whole:  # from its start it gives what was said before the service
            raise TransportError("the log shows no message: whether it was made anew is known with the first one")
        start = self._place.start(self._whole)
        if start is None or self._anew:
            await self._place.begin_anew()
            self._anew, start = False, 0
        self._from = self._next = self._place.stored.next
        self._events.clear()
        self._gap, self._resume = None, 0.0
        await self._read_from(start)
        if start < self._whole and not self._read:
            self._silent = self.runtime.clock.monotonic() + ANSWER_SECONDS

    async def _read_from(self, offset: int) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.close()
        self._acks.clear()
        self._silent = 0.0
        self._read, self._window = 0, self.runtime.clock.monotonic()
        consume = self.runtime.transport.consume
        self._consumer = await consume(LOG, prefetch=PREFETCH, deliver=self._deliver, offset=offset)
        self._epoch = self._consumer.epoch

    def _deliver(self, delivery: Delivery) -> None:
        offset = delivery.offset or 0
        if not self._place.read(delivery):
            self._anew = True
        self._next = max(self._next, offset + 1)
        self._read += 1
        self._silent = 0.0
        runners = self._heard.get(delivery.routing_key, ()) if offset >= self._from else ()
        for runner in runners:
            if runner.consumer is None:  # it reads history, and is compared from the cut-over on
                continue
            now = self.runtime.clock.monotonic()
            self._events.add(WaitingEvent(delivery, runner, offset, now, now))
        self._acks.append(delivery.handle)
        if runners or self._anew or not self._place.known or len(self._acks) >= PREFETCH // 2:
            self._arrived.set()

    async def _until_due(self) -> None:
        """Return when an event has waited long enough, or the reading has to pause or to go on."""
        while True:
            self._arrived.clear()
            now = self.runtime.clock.monotonic()
            self._settle()
            if self._broken or self._place.due:
                return
            if self._resume and now >= self._resume:
                return
            if not self._resume and self._too_fast(now):
                return
            due = next((each.since + GRACE_SECONDS for each in self._events), None)
            if due is not None and now >= due:
                return
            wait = min(each for each in (due, self._resume or None, now + EPOCH_SECONDS) if each is not None) - now
            try:
                async with asyncio.timeout(max(wait, 0.001)):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _settle(self) -> None:
        """Each ack lets the broker send one more: none while as much waits as is allowed."""
        full = len(self._events) >= MOST_WAITING or self._events.bytes >= MOST_BYTES
        if self._consumer is not None and self._acks and not full:
            acks, self._acks = self._acks, []
            self._consumer.ack(acks)

    def _too_fast(self, now: float) -> bool:
        if now - self._window > WINDOW_SECONDS:
            self._read, self._window = 0, now
        most = self.runtime.config.log_check_events_per_second * WINDOW_SECONDS
        return self._next > self._whole and self._read > most and not self.patrol

    async def _look(self) -> None:
        """Look for the events that have waited long enough; pause the reading, or go on."""
        if self._place.due:
            await self._place.find()
        await self._pace()
        now = self.runtime.clock.monotonic()
        due = [each for each in self._events.first(BATCH) if each.since + GRACE_SECONDS <= now]
        if not due:
            return
        moment = self.runtime.clock.now()
        unknown = await self._unknown([each for each in due if self._waits(each) and each.read(moment)])
        lost = await self._certain(unknown) if unknown else []
        if lost:
            await self._take(lost)
        for each in unknown:
            each.since = now - GRACE_SECONDS + LOOK_SECONDS
        for each in lost:  # it is believed to have arrived when the inbox has it: a queue may be removed once more
            each.sent, each.since, each.sent_at = each.sent + 1, now, now
        waits = {each for each in unknown if each.sent < MOST_SENT}
        self._events.remove(set(due) - waits)
        if lost:
            await self._fill_gap(lost[0].offset)
        elif not waits:
            self._gap = None
        if not any(each.sent for each in self._events):
            self.reason = ""
        await self._remember()

    async def _pace(self) -> None:
        """Pause the reading where the log is faster than the setting, and go on with what is said then."""
        now = self.runtime.clock.monotonic()
        if self._resume and now >= self._resume:
            self._resume = 0.0
            await self._read_from(NEXT)
        elif not self._resume and self._too_fast(now) and self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.close()
            self._acks.clear()
            self._gap = self._next if self._gap is None else self._gap
            self._resume = self._window + WINDOW_SECONDS

    async def _waiting(self, queue: str) -> int:
        """How many messages of a queue no consumer has; `TransportError` where there is no such queue."""
        depth = await self.runtime.transport.depth(queue)
        if depth is None:
            raise TransportError(f"queue {queue} does not exist")
        return depth.messages

    def _waits(self, event: WaitingEvent) -> bool:
        """Whether it is to arrive at a subscription that is still there: a generation may end meanwhile."""
        return not event.arrived and self.runners.get(event.runner.subscription.queue) is event.runner

    async def _unknown(self, events: Sequence[WaitingEvent]) -> list[WaitingEvent]:
        if not events:
            return []
        rows = await self.runtime.store.inbox([each.arrival.key for each in events])
        return [each for each in events if each.arrival.key not in rows and each.arrival.key not in self._rowless]

    async def _certain(self, events: Sequence[WaitingEvent]) -> list[WaitingEvent]:
        """Those that are neither in their queue nor in progress, and have no inbox row afterwards either."""
        events = await not_elsewhere(events, self.runtime.store, self.runtime.clock.monotonic())
        empty: dict[str, bool] = {}
        for each in events:
            queue = each.arrival.subscription.queue
            if queue not in empty:
                try:
                    empty[queue] = not await self._waiting(queue)
                except TransportError:
                    if not self.runtime.transport.link().ready:
                        raise
                    await self.declare()  # the queue itself was removed
                    empty[queue] = True
        gone = [
            each
            for each in events
            if empty[each.arrival.subscription.queue] and self._waits(each) and not each.runner.holds(each.arrival)
        ]
        return await self._unknown(gone) if gone else []

    async def _take(self, events: Sequence[WaitingEvent]) -> None:
        """Declare what is missing, then send the events to their queues; the inbox knows what arrives twice."""
        queues = ", ".join(sorted({each.arrival.subscription.queue for each in events}))
        self.reason = f"events did not reach {queues}: bindings were removed on the broker; they are taken from the log"
        await self._declare_again()
        answers = await self.runtime.transport.publish([self._message(each.arrival) for each in events])
        for answer in answers:
            if answer.verdict is not Verdict.CONFIRMED:
                raise TransportError(f"events of the log could not be sent to {queues}: {answer.reason}")
        self.runtime.trouble(
            "events had not reached their queue, so bindings were removed on the broker: everything was declared again "
            "and the events taken from the log", queues=queues, events=len(events), first_offset=events[0].offset,
        )  # fmt: skip

    async def _declare_again(self) -> None:
        """Once for all that is found in a while: it costs a round trip for each object."""
        now = self.runtime.clock.monotonic()
        if now >= self._declared + DECLARE_SECONDS:
            await self.declare()
            self._declared = now

    async def _fill_gap(self, found: int) -> None:
        """Read everything between the last part that was complete and what was found missing."""
        start, self._gap = self._gap, None
        if start is not None and start < found:
            self._whole = max(self._whole, await end_of(self.runtime.transport, LOG))
            self._resume = 0.0
            await self._read_from(start)

    def _message(self, arrival: Arrival) -> Message:
        delivery = arrival.delivery
        body, kind = delivery.body, delivery.content_type
        if not arrival.structured:
            body, kind = encode(arrival.known), CONTENT_TYPE
        return Message(
            self.runtime.service, arrival.subscription.queue, body, kind, foreign_of(delivery.headers),
            type=arrival.known.type, correlation_id=arrival.known.correlation_id, app_id=self.runtime.service,
        )  # fmt: skip

    async def _remember(self) -> None:
        """Store how far everything was compared. Another replica may have stored it too; then that is taken over."""
        done = min((each.offset for each in self._events), default=self._next)
        if done > self._place.stored.next:
            await self._place.keep(done)
