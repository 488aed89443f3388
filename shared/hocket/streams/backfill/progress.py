"""How far a backfill has come, and how far it is ahead of the log's retention; for people and metrics (RULES 7.5 g)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hocket.broker.topology import LOG
from hocket.errors import TransportError
from hocket.runtime import Runtime
from hocket.streams.backfill.headroom import Headroom
from hocket.streams.backfill.state import Backfill
from hocket.streams.first import first_of
from hocket.telemetry.signals import BackfillSample

#: Seconds between two looks at the log's ends.
LOOK_SECONDS = 10.0
#: The weight of the last look in the rate.
RATE_SHIFT = 0.5


UNKNOWN = BackfillSample("", 0, 0, 0.0, None)


@dataclass(slots=True)
class Progress:
    """What one process knows of one backfill. `hurry`: the log's retention comes near."""

    runtime: Runtime
    subscription: str
    hurry: bool = False
    trouble: str = ""  # why the log cannot be marked
    figures: BackfillSample = UNKNOWN
    headroom: Headroom = field(default_factory=Headroom)
    _looked: float = 0.0
    _next: int | None = None

    async def look(self, row: Backfill) -> None:
        """Look at the log now and then; a broker that does not answer is asked later."""
        now = self.runtime.clock.monotonic()
        seconds = now - self._looked
        if self._next is not None and seconds < LOOK_SECONDS:
            self.figures = self.figures._replace(phase=row.phase.value, next=row.next)
            return
        try:
            first = await first_of(self.runtime.transport, LOG)
            depth = await self.runtime.transport.depth(LOG)
        except TransportError:
            return
        start = (first.offset or 0) if first is not None else row.next
        end = max(start + (depth.messages if depth is not None else 0), row.next)
        rate = self.figures.per_second
        if self._next is not None and seconds > 0:
            rate += RATE_SHIFT * (max(row.next - self._next, 0) / seconds - rate)
        eta = (end - row.next) / rate if rate > 0 else None
        self.figures = BackfillSample(row.phase.value, row.next, end, rate, eta)
        self._looked, self._next = now, row.next
        hurry = self.headroom.look(start, row.next)
        if hurry and not self.hurry:
            self.runtime.trouble(
                "retention comes near what a backfill has not read yet", subscription=self.subscription,
                messages_left=self.headroom.now,
            )  # fmt: skip
        self.hurry = hurry


def told(row: Backfill, figures: BackfillSample | None) -> Mapping[str, object]:
    """A backfill for people: its row, and what the process that reads knows."""
    numbers = figures if figures is not None else BackfillSample(row.phase.value, row.next, 0, 0.0, None)
    return {
        "subscription": row.subscription, "phase": row.phase.value, "since": row.since, "start": row.start,
        "next": row.next, "end": numbers.end, "per_second": round(numbers.per_second, 1), "eta": numbers.eta,
        "events": row.events, "letters": row.letters, "missed": row.missed, "reason": row.reason,
        "holder": row.holder,
    }  # fmt: skip
