"""The relay: the only publisher of the outbox (RULES 4).

Rows come in memory right after their commit; what does not fit, what an earlier process left and what was due later
comes from the store. Several batches are under way at once; within a subject the next row waits for the confirm of the
one before. After a lost connection one unconfirmed row goes first and the rest follow its confirm.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hocket.broker.port import Published, Verdict
from hocket.errors import StoreError, TransportError
from hocket.outbox.batcher import Batcher
from hocket.outbox.subject_order import SubjectOrder
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow, RowKind, Waiting
from hocket.telemetry.signals import Sent

PROMISE = "the only publisher of the outbox: pipelined confirms, in order within a subject, one probe after an outage"

#: Rows in one publish, and publishes under way at once.
BATCH = 64
SENDERS = 8
#: Rows kept in memory; more wait in the store.
MEMORY_ROWS = 4096
#: Due and unconfirmed events at which intake pauses and HTTP answers 503 (RULES 4.6).
EVENTS_BOUND = 10_000
#: Waiting receipts at which further ones are shed and counted as a gap (RULES 4.6).
RECEIPTS_BOUND = 10_000
#: Seconds for which receipts, and confirmed rows before one transaction forgets them, wait for each other.
RECEIPT_LINGER, FORGET_LINGER = 0.05, 0.25
FORGET_ROWS = 512
#: Seconds before a returned or nacked row goes again: doubled from the first to the longest.
REST_FIRST = 0.5
REST_LONGEST = 30.0
LOOK_SECONDS = 5.0  # between looks at the store for what others have written or freed
STORE_WAIT = 1.0  # seconds between tries while the store fails
STORE_BACKOFF = Backoff(STORE_WAIT, STORE_WAIT)
NEWLY_DUE = 2**62  # `after` that asks the store for nothing but what has just become due
COUNTED = (RowKind.EVENT, RowKind.SCHEDULED)  # by the bound of events


@dataclass(slots=True)
class Relay:
    """Publishes one service's outbox."""

    runtime: Runtime
    _queue: deque[OutboxRow] = field(default_factory=deque)
    _gathered: Batcher[OutboxRow] = field(init=False)  # receipts
    _turns: SubjectOrder = field(default_factory=SubjectOrder)
    _known: dict[int, RowKind] = field(default_factory=dict)
    _confirmed: Batcher[int] = field(init=False)  # their ids, until there are enough to forget
    _forgetting: deque[Sequence[int]] = field(default_factory=deque)
    _flying: int = 0
    _since: float = 0.0
    _resting: dict[int, float] = field(default_factory=dict)
    _claiming: bool = False
    _probing: bool = False
    _fetching: bool = False
    _missed: bool = True  # the store may hold rows of ours that are not in memory
    _from: int = 0
    _events: int = 0
    _receipts: int = 0
    _counted: Waiting = field(default_factory=Waiting)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _timer: asyncio.Event = field(default_factory=asyncio.Event)
    _rested: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._gathered = Batcher(RECEIPT_LINGER, BATCH, self._enqueue)
        self._confirmed = Batcher(FORGET_LINGER, FORGET_ROWS, self._forget_soon)

    async def start(self) -> None:
        """Take over what earlier processes left; nothing is published before `open`."""
        await self.runtime.store.take_over()
        self.runtime.tasks.spawn("relay forgets", self._forget_on())
        self.runtime.tasks.spawn("relay timer", self._claim_on())

    def open(self) -> None:
        """The topology stands: publish. A broker that does not know an exchange yet would refuse a row for good."""
        for n in range(SENDERS):
            self.runtime.tasks.spawn(f"relay {n}", self._send_on())

    def hand(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that were just committed, in order; what is due later is left to the store."""
        now = self.runtime.clock.now().timestamp()
        for row in rows:
            if row.due > now:
                self._timer.set()
            elif self._missed or self._fetching or len(self._known) >= MEMORY_ROWS:
                self._miss(row)
            else:
                self._add(row)
        if self._queue:
            self._some.set()

    def say(self, row: OutboxRow) -> bool:
        """A fact that need not survive a crash (heartbeat, manifest): published at once or, without a link, not."""
        if self.runtime.transport.link().ready and len(self._queue) < MEMORY_ROWS:
            self._queue.append(row)
            self._some.set()
            return True
        return False

    def look_again(self) -> None:
        """The outcome of a commit was unknown: the store may hold rows that were never handed over."""
        self._look_from(0)

    def nudge(self) -> None:
        """A duplicate asks for what is pending (RULES 3.5): claim what is due now."""
        self._timer.set()

    def note(self, waiting: Waiting) -> None:
        """How many rows the store counted just now, those included that memory does not hold."""
        self._counted = waiting

    @property
    def full(self) -> bool:
        """Whether as many due events wait as the bound allows."""
        return max(self._events, self._counted.events) >= EVENTS_BOUND

    @property
    def receipts_full(self) -> bool:
        """Whether receipts are to be shed."""
        return max(self._receipts, self._counted.receipts) >= RECEIPTS_BOUND

    @property
    def idle(self) -> bool:
        """Whether nothing that is due waits."""
        moving = self._queue or self._gathered or self._flying or self._confirmed or self._forgetting
        return not (moving or self._resting or self._turns or self._missed or self._claiming)

    def silent_for(self) -> float:
        """Seconds since the oldest unanswered publish under way was begun; 0 when none is."""
        return self.runtime.clock.monotonic() - self._since if self._flying else 0.0

    def _add(self, row: OutboxRow) -> None:
        if row.id in self._known:
            return
        self._known[row.id] = row.kind
        self._count(row.kind, 1)
        if row.kind is RowKind.RECEIPT:
            self._gathered.add(row)
        else:
            self._queue.append(row)

    def _enqueue(self, rows: Iterable[OutboxRow]) -> None:
        self._queue.extend(rows)
        self._some.set()

    def _miss(self, row: OutboxRow) -> None:
        """It stands in the store; memory fetches it when there is room."""
        self._look_from(row.id - 1)
        counted, event, receipt = self._counted, row.kind in COUNTED, row.kind is RowKind.RECEIPT
        events, receipts = max(self._events, counted.events) + event, max(self._receipts, counted.receipts) + receipt
        self._counted = counted._replace(events=events, receipts=receipts)

    def _look_from(self, id: int) -> None:
        """Rows behind this id stand in the store and may not be in memory."""
        self._from = min(self._from, id) if self._missed else id
        self._missed = True
        self._timer.set()

    def _count(self, kind: RowKind, by: int) -> None:
        if kind is RowKind.RECEIPT:
            self._receipts += by
        elif kind in COUNTED:
            self._events += by

    async def _send_on(self) -> None:
        while True:
            await self.runtime.transport.until_ready()
            batch = self._take()
            if not batch:
                self._some.clear()
                await self._some.wait()
                continue
            if not self._flying:
                self._since = self.runtime.clock.monotonic()
            self._flying += len(batch)
            probe = self._probing
            try:
                answers = await self.runtime.transport.publish([row.message for row in batch])
            except TransportError:  # closed by us: the rows stay for the next process
                return
            finally:
                self._flying -= len(batch)
            self._since = self.runtime.clock.monotonic()
            await self._answered(batch, answers, probe)
            self._rested.set()

    def _take(self) -> list[OutboxRow]:
        """The next rows that hold to the order within their subject; one at a time after an outage."""
        if self._probing and self._flying:
            return []
        limit = 1 if self._probing else BATCH
        batch: list[OutboxRow] = []
        while self._queue and len(batch) < limit:
            row = self._queue.popleft()
            if self._turns.may_go(row):
                batch.append(row)
        return batch

    async def _answered(self, batch: Sequence[OutboxRow], answers: Sequence[Published], probe: bool) -> None:
        now = self.runtime.clock.now().timestamp()
        again: list[OutboxRow] = []
        for row, answer in zip(batch, answers, strict=True):
            match answer.verdict:
                case Verdict.CONFIRMED:
                    self._queue.extendleft(reversed(self._turns.ended(row)))
                    if row.id:
                        self._confirmed.add(row.id)
                case Verdict.REFUSED:
                    await self._refused(row, answer.reason)
                case Verdict.UNKNOWN:
                    again.append(row)
                case Verdict.RETURNED | Verdict.NACKED:
                    self._rest(row, answer)
        self._queue.extendleft(reversed([row for row in again if row.id]))
        if again or probe:  # only the answer to a probe ends the probing: others may have set out before the cut
            self._probing = bool(again)
        self._some.set()
        self.runtime.signals.published(
            [
                Sent(self.runtime.service, row.kind.value, row.message.type, answer.verdict.value, now - row.due)
                for row, answer in zip(batch, answers, strict=True)
            ]
        )

    async def _refused(self, row: OutboxRow, reason: str) -> None:
        self.runtime.signals.trouble(
            self.runtime.service, "the broker refused a row for good", id=row.id, reason=reason
        )
        if row.id:
            await self._until_stored(lambda: self.runtime.store.refuse(row.id, reason))
        self._forgotten([row.id])
        self._queue.extendleft(reversed(self._turns.ended(row)))

    def _rest(self, row: OutboxRow, answer: Published) -> None:
        """No queue took it, or the broker could not: it goes again later, its subject waits."""
        self.runtime.signals.trouble(
            self.runtime.service, f"a publish was {answer.verdict.value}", exchange=row.message.exchange,
            routing_key=row.message.routing_key, reason=answer.reason,
        )  # fmt: skip
        if not row.id:
            return
        wait = min(self._resting.get(row.id, REST_FIRST / 2) * 2, REST_LONGEST)
        self._resting[row.id] = wait
        self.runtime.tasks.spawn("relay rest", self._after(wait, row))

    async def _after(self, wait: float, row: OutboxRow) -> None:
        await asyncio.sleep(wait)
        self._enqueue([row])

    def _forget_soon(self, ids: Sequence[int]) -> None:
        self._forgetting.append(ids)
        self._done.set()

    async def _forget_on(self) -> None:
        while True:
            await self._done.wait()
            self._done.clear()
            while self._forgetting:
                await self._forget(self._forgetting[0])
                self._forgetting.popleft()
                self._rested.set()

    async def _forget(self, ids: Sequence[int]) -> None:
        await self._until_stored(lambda: self.runtime.store.forget(ids))
        self._forgotten(ids)
        if self._missed and len(self._known) < MEMORY_ROWS // 2:
            self._timer.set()

    async def _until_stored(self, write: Callable[[], Awaitable[None]]) -> None:
        await until_done(write, STORE_BACKOFF, self.runtime.chance, on=StoreError)

    def _forgotten(self, ids: Iterable[int]) -> None:
        for id in ids:
            self._resting.pop(id, None)
            if (kind := self._known.pop(id, None)) is not None:
                self._count(kind, -1)

    async def _claim_on(self) -> None:
        """Fetch what has become due and what memory missed."""
        while True:
            self._timer.clear()
            self._claiming = True
            try:
                wait = await self._claim()
            except StoreError:
                await asyncio.sleep(STORE_WAIT)  # not by the timer: what failed has just set it again
                wait = 0.0
            self._claiming = False
            self._rested.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if wait is None else min(wait, LOOK_SECONDS)):
                    await self._timer.wait()

    async def _claim(self) -> float | None:
        """Claim once; seconds until there may be more, None: until woken."""
        now = self.runtime.clock.now().timestamp()
        room = MEMORY_ROWS - len(self._known)
        if room <= 0:
            return None
        fetch, self._missed = self._missed, False
        start, page = self._from if fetch else NEWLY_DUE, min(room, MEMORY_ROWS // 4)
        self._fetching = fetch  # what is committed meanwhile stands behind what is being fetched
        try:
            rows = await self.runtime.store.due(now, start, page)
        except StoreError:
            if fetch:
                self._look_from(start)
            raise
        finally:
            self._fetching = False
        for row in rows:
            self._add(row)
        self._some.set()
        if fetch and len(rows) >= page:
            self._look_from(max(start, *(row.id for row in rows)))
            return 0.001
        next_due = await self.runtime.store.next_due()
        if self._missed:
            return 0.001
        return None if next_due is None else max(next_due - self.runtime.clock.now().timestamp(), 0.001)

    async def drained(self, seconds: float) -> bool:
        """Wait until everything due is confirmed and forgotten, at most `seconds`; whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.idle:
                    self._gathered.flush()
                    self._confirmed.flush()
                    self._rested.clear()
                    await self._rested.wait()
        return self.idle
