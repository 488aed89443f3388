"""Facts of drift, made by hand after docs/wire.md: what one boot has counted until a moment."""

from datetime import datetime, timedelta
from typing import Any

from hocket.clock import rfc3339
from tests.services.tracer.sample_facts import START

#: Long after the baseline of what began at `START`.
LATER = START + timedelta(days=3)


def marks(start: datetime, events: int, seconds: float = 1.0) -> list[list[Any]]:
    """When so many events were counted, one in so many seconds."""
    return [
        [many, rfc3339(start + timedelta(seconds=seconds * (many - 1)))]
        for many in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
        if many <= events
    ]


def seen(
    path: str, kind: str, first: datetime, *, many: int = 1, event: str = "e1", deep: bool = False
) -> dict[str, Any]:
    """One path of a fact."""
    last = first + timedelta(minutes=1)
    return {
        "path": path, "kind": kind, "many": many, "deep": deep,
        "holds": kind in {"type", "value"}, "first": {"id": event, "time": rfc3339(first)},
        "last": {"id": f"{event}-last", "time": rfc3339(last)},
    }  # fmt: skip


def drifted(subscription: str, *paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One fact: two thousand events of `order.placed` from `/shopify` since `START`, if nothing else is said."""
    start = more.pop("start", START)
    events = more.pop("events", 2_000)
    service = subscription.partition(".")[0]
    fact = {
        "kind": "drift", "service": service, "instance": f"{service}-1", "boot": "b1", "subscription": subscription,
        "source": "/shopify", "type": "order.placed", "version": 1, "model": "m1", "mode": "warn", "events": events,
        "looked": events // 100 + 1, "first": rfc3339(start), "last": rfc3339(LATER), "time": rfc3339(LATER),
        "marks": marks(start, events), "paths": list(paths), "more": 0,
    }  # fmt: skip
    return {**fact, **more}
