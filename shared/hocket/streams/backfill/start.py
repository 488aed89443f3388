"""Finds where in the log the history of a new subscription begins, and whether the log reaches back so far."""

from datetime import datetime

from hocket.broker.port import Delivery
from hocket.broker.topology import LOG
from hocket.clock import rfc3339
from hocket.declarations.subscription import Since
from hocket.envelope.cloudevent import read
from hocket.errors import TransportError, Undecodable
from hocket.runtime import Runtime
from hocket.streams.backfill.state import Backfill, Phase
from hocket.streams.end import last_of
from hocket.streams.first import first_of
from hocket.streams.gap import mark_of


async def begun(runtime: Runtime, subscription: str, since: Since) -> Backfill:
    """A new backfill from the first message of the log that counts. Errors of store and broker come through.

    A log that has lost messages and begins later than `since` lacks some of what was asked for: then it has failed, and
    a person decides. A log that still has its very first message lacks none.
    """
    transport, now = runtime.transport, (await runtime.store.clock.time()).now
    row = Backfill(subscription, runtime.ids.uuid7(), since=str(since), began=now)
    first = await first_of(transport, LOG)
    if first is None:
        return row
    begins = first
    if isinstance(since, datetime):
        row = row._replace(since=rfc3339(since))
        begins = await first_of(transport, LOG, since) or await _last(runtime, since) or first
    offset = begins.offset or 0
    row = row._replace(start=offset, next=offset, anchor=mark_of(begins))
    said = _said(runtime, first)
    if isinstance(since, datetime) and first.offset and said is not None and since < said:
        oldest = rfc3339(said)
        why = f"its history was to begin at {row.since}, and the log holds nothing that was said before {oldest}"
        return row._replace(phase=Phase.FAILED, reason=why)
    return row


async def _last(runtime: Runtime, since: datetime) -> Delivery | None:
    """Nothing came from this moment on: the last message, where all was said before."""
    last = await last_of(runtime.transport, LOG)
    said = _said(runtime, last) if last is not None else None
    if said is not None and said >= since:
        raise TransportError(f"the log sent nothing of what was said since {rfc3339(since)}")
    return last


def _said(runtime: Runtime, delivery: Delivery) -> datetime | None:
    """When it was said, as far as it can be read."""
    try:
        return read(delivery.body, delivery.content_type, delivery.headers, runtime.clock.now()).envelope.time
    except Undecodable:
        return None
