"""Counts of how pushes ended, by source, and the facts that tell them (docs/wire.md#receipts)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hocket.clock import rfc3339
from hocket.runtime import ServiceInstance
from hocket.worker.webhooks.ends import End
from hocket.worker.webhooks.kept import KeptRow, Waits

#: Seconds between two facts that tell the counts.
TELL_SECONDS = 60.0
#: Characters of an error in a fact.
MAX_ERROR = 500


class Counts:
    """How many pushes of each source ended how since this start, and when the last did. Each fact tells all of it.

    So it does not matter in which order facts are read, nor how often (RULES 7.4).
    """

    def __init__(self) -> None:
        self.ends: dict[str, dict[str, tuple[int, datetime]]] = {}
        self._told: object = None

    def add(self, source: str, end: End, at: datetime) -> None:
        """One more; of an unknown source `source` is "", since what it called itself is not kept."""
        of_source = self.ends.setdefault(source, {})
        of_source[end.value] = (of_source.get(end.value, (0, at))[0] + 1, at)

    def fact(self, waiting: Mapping[str, Waits]) -> dict[str, Any] | None:
        """What is to be told now; None where nothing has changed."""
        counts = {source: {end: n for end, (n, _) in ends.items()} for source, ends in self.ends.items()}
        kept = {source: each.kept for source, each in waiting.items()}
        if (counts, kept) == self._told or not (counts or kept):
            return None
        self._told = (counts, kept)
        last = {source: {end: rfc3339(at) for end, (_, at) in ends.items()} for source, ends in self.ends.items()}
        return {"kind": "webhooks", "counts": counts, "last": last, "kept": kept}


def fact_of(row: KeptRow, instance: ServiceInstance, now: datetime, received: datetime) -> bytes:
    """The fact about one row, as it is now: it leaves with the transaction that made it so."""
    return json.dumps(
        {
            "kind": "webhook",
            "service": instance.service,
            "instance": instance.instance,
            "boot": instance.boot,
            "time": rfc3339(now),
            "id": row.id,
            "source": row.source,
            "delivery": row.delivery,
            "state": row.state,
            "cause": row.cause,
            "error": row.error[:MAX_ERROR],
            "correlationid": row.correlation_id,
            "skew": round(row.skew, 1),
            "received": rfc3339(received),
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")
