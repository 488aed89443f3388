"""The relay: the only publisher of the outbox (RULES 4).

It publishes the rows of the backlog. Several batches are in flight at once; within a subject the next row waits for
the confirm of the one before. After a lost connection one unconfirmed row is published first, as a probe; the others
follow its confirm.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from hocket.broker.port import Published, Verdict
from hocket.errors import TransportError
from hocket.outbox.backlog import Backlog
from hocket.outbox.subject_order import SubjectOrder
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow
from hocket.telemetry.signals import Sent

PROMISE = (
    "the only publisher of the outbox: confirms are pipelined, order is kept within a subject, one probe goes "
    "first after an outage"
)

#: Waits before a returned or nacked row is published again.
ROW_BACKOFF = Backoff(first=0.5, longest=30.0)


@dataclass(slots=True)
class Relay:
    """Publishes one service's outbox."""

    runtime: Runtime
    backlog: Backlog
    _order: SubjectOrder = field(default_factory=SubjectOrder)
    _in_flight: int = 0
    _since: float = 0.0  # when the broker last answered, or the first publish in flight began (monotonic seconds)
    _failures: dict[int, int] = field(default_factory=dict)  # by row: how often it was returned or nacked
    _probing: bool = False

    def start(self) -> None:
        """Publish, once the topology is declared: a broker that does not know an exchange refuses a row permanently."""
        for n in range(self.runtime.config.outbox_senders):
            self.runtime.tasks.spawn(f"relay {n}", self._publish_forever())

    def send_unstored(self, row: OutboxRow) -> bool:
        """Publish what need not survive a crash (heartbeat, manifest); False where there is no link or no room."""
        return self.runtime.transport.link().ready and self.backlog.add_unstored(row)

    @property
    def idle(self) -> bool:
        """Whether nothing that is due waits."""
        return not (self._in_flight or self._failures or self._order) and self.backlog.idle

    def silent_for(self) -> float:
        """Seconds since the oldest publish in flight was begun; 0 when none is."""
        return self.runtime.clock.monotonic() - self._since if self._in_flight else 0.0

    async def _publish_forever(self) -> None:
        backlog = self.backlog
        while True:
            await self.runtime.transport.until_ready()
            batch = self._take()
            if not batch:
                backlog.some.clear()
                await backlog.some.wait()
                continue
            if not self._in_flight:
                self._since = self.runtime.clock.monotonic()
            self._in_flight += len(batch)
            probe = self._probing
            try:
                answers = await self.runtime.transport.publish([row.message for row in batch])
                self._since = self.runtime.clock.monotonic()
                await self._answered(batch, answers, probe)
            except TransportError:  # closed by us: the rows stay for the next process
                return
            finally:
                self._in_flight -= len(batch)
                backlog.some.set()  # others may have found nothing to take while this batch was in flight
            backlog.changed.set()

    def _take(self) -> list[OutboxRow]:
        """The next rows that keep the order within their subject; one at a time after an outage."""
        if self._probing and self._in_flight:
            return []
        limit = 1 if self._probing else self.runtime.config.outbox_batch
        ready = self.backlog.ready
        batch: list[OutboxRow] = []
        while ready and len(batch) < limit:
            row = ready.popleft()
            if self._order.may_go(row):
                batch.append(row)
        return batch

    async def _answered(self, batch: Sequence[OutboxRow], answers: Sequence[Published], probe: bool) -> None:
        now = self.runtime.clock.now().timestamp()
        ready, confirmed = self.backlog.ready, self.backlog.confirmed
        unknown: list[OutboxRow] = []
        for row, answer in zip(batch, answers, strict=True):
            match answer.verdict:
                case Verdict.CONFIRMED:
                    if (following := self._order.ended(row)) is not None:
                        ready.appendleft(following)
                    if row.id:
                        confirmed.add(row.id)
                        for id in row.joined:
                            confirmed.add(id)
                        if self._failures:
                            self._failures.pop(row.id, None)
                case Verdict.REFUSED:
                    await self._refused(row, answer.reason)
                case Verdict.UNKNOWN:
                    unknown.append(row)
                case Verdict.RETURNED | Verdict.NACKED:
                    self._delay(row, answer)
        ready.extendleft(reversed([row for row in unknown if row.id]))
        if unknown or probe:  # only the answer to a probe ends the probing: others may have left before the outage
            self._probing = bool(unknown)
        self.backlog.some.set()
        self.runtime.signals.published(
            [
                Sent(self.runtime.service, row.kind.value, row.message.type, answer.verdict.value, now - row.due)
                for row, answer in zip(batch, answers, strict=True)
            ]
        )

    async def _refused(self, row: OutboxRow, reason: str) -> None:
        self.runtime.trouble("the broker refused a row permanently", id=row.id, reason=reason)
        await self.backlog.refuse(row, reason)
        self._failures.pop(row.id, None)
        if (following := self._order.ended(row)) is not None:
            self.backlog.ready.appendleft(following)

    def _delay(self, row: OutboxRow, answer: Published) -> None:
        """No queue took it, or the broker could not: it is published again later, its subject waits."""
        self.runtime.trouble(
            f"a publish was {answer.verdict.value}", exchange=row.message.exchange,
            routing_key=row.message.routing_key, reason=answer.reason,
        )  # fmt: skip
        if not row.id:
            return
        self._failures[row.id] = failures = self._failures.get(row.id, 0) + 1
        wait = ROW_BACKOFF.wait(failures, self.runtime.chance)
        self.runtime.tasks.spawn("relay delay", self._later(wait, row), may_end=True)

    async def _later(self, seconds: float, row: OutboxRow) -> None:
        await asyncio.sleep(seconds)
        self.backlog.enqueue([row])

    async def drained(self, seconds: float) -> bool:
        """Wait until everything due is confirmed and deleted, at most `seconds`; whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.idle:
                    self.backlog.flush()
                    self.backlog.changed.clear()
                    await self.backlog.changed.wait()
        return self.idle
