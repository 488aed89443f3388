"""What another replica may have in hand is not missing: nobody can see it, so it is given time (RULES 4.8)."""

from collections.abc import Sequence

from hocket.store.port import Store
from hocket.streams.waiting_events import WaitingEvent

#: Seconds that a replica may have an event in hand without a row: it waits a minute for a breaker, then it is handled.
ELSEWHERE_SECONDS = 90.0


async def not_elsewhere(events: Sequence[WaitingEvent], store: Store, now: float) -> Sequence[WaitingEvent]:
    """The events that no other living replica can have in hand; `now` in monotonic seconds."""
    if not store.replicas or len(await store.breakers.living()) <= 1:
        return events
    return [each for each in events if each.sent_at + ELSEWHERE_SECONDS <= now]
