"""Whether the log still holds what the generation before has heard (RULES 14.9); notices a fail-over (RULES 14.8)."""

from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from hocket.broker.topology import LOG
from hocket.clock import rfc3339
from hocket.declarations.subscription import Subscription
from hocket.delivery.projecting.generations import Generation, LogStart, history_gone
from hocket.envelope.cloudevent import read
from hocket.envelope.keys import GENERATION_MARK
from hocket.errors import Undecodable
from hocket.runtime import Runtime
from hocket.store.meta import meta_of, set_meta
from hocket.store.records import InboxState
from hocket.store.schema import INBOX
from hocket.streams.first import first_of
from hocket.streams.gap import mark_of

#: The row of `hocket_meta` with the timeline of the database, as it was seen last.
TIMELINE = "timeline"
_TIMELINE = text("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")


async def start_of_log(runtime: Runtime) -> LogStart | None:
    """Where the log begins; None: it is empty. Raises `TransportError`."""
    first = await first_of(runtime.transport, LOG)
    if first is None:
        return None
    now = runtime.clock.now()
    try:
        said = read(first.body, first.content_type, first.headers, now).envelope.time.timestamp()
    except Undecodable:
        said = 0.0
    return LogStart(first.offset or 0, mark_of(first), said)


async def refusal(runtime: Runtime, subscription: Subscription, old: Generation | None, log: LogStart | None) -> str:
    """Why a generation cannot be filled from the log alone; "" where it can. Raises `StoreError`."""
    projected = subscription.projected
    assert projected is not None
    if old is None or old.n == projected.n or projected.seed is not None:
        return ""
    if log is None and not await _has_handled(runtime, subscription, old):
        return ""
    if not history_gone(old, log):
        return ""
    oldest = rfc3339(runtime.clock.now()) if log is None or not log.said else rfc3339(_moment(log.said))
    heard = f"has heard events since {rfc3339(_moment(old.since))}" if old.since else "has heard earlier ones"
    return (
        f"the log holds nothing that was said before {oldest}, and generation {old.n} {heard}: give seed= a function "
        "that fills the new tables from tx.former(…), or let it serve without them by `hocket rebuild --swap-anyway`"
    )


async def _has_handled(runtime: Runtime, subscription: Subscription, old: Generation) -> bool:
    queue = f"{subscription.service}.{old.projection}{GENERATION_MARK}{old.n}"
    asked = select(INBOX.c.key).where(INBOX.c.subscription == queue, INBOX.c.state == str(InboxState.HANDLED)).limit(1)
    async with runtime.store.read() as connection:
        return (await connection.execute(asked)).first() is not None


async def look_at_timeline(runtime: Runtime) -> None:
    """Say it where the database is on another timeline than before: a standby has taken over (RULES 14.8).

    What it had not got yet is missing in every table of the service, in those of projections as in others.
    """
    if not runtime.store.replicas:
        return
    async with runtime.store.read() as connection:
        known = await meta_of(connection, TIMELINE)
        found = ""
        with suppress(SQLAlchemyError):  # a server that does not tell, or is none of PostgreSQL's own
            found = str((await connection.execute(_TIMELINE)).scalar() or "")
    if not found or found == known:
        return
    async with runtime.store.transaction() as tx:
        await set_meta(await tx.db(), TIMELINE, found)
    if known:
        runtime.trouble(
            "the database was taken over by a standby: with an asynchronous one, what it had not got is lost to every "
            "table of this service; `hocket rebuild` builds a projection anew", before=known, now=found,
        )  # fmt: skip


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
