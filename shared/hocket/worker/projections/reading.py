"""Reads a projection: one snapshot that says which generation serves and holds its rows (RULES 14.6, 14.7)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.subscription import Subscription
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, read_by, serving
from hocket.envelope.keys import GENERATION_MARK, Fact, fact_of, type_tag
from hocket.envelope.token import decode_token
from hocket.errors import HocketError, NotYetRead
from hocket.runtime import Runtime
from hocket.store.purge import LEAD_SECONDS
from hocket.store.records import InboxState
from hocket.store.schema import INBOX
from hocket.tx import View

#: Seconds that one snapshot may be held: what it sees cannot be tidied up meanwhile.
HELD_SECONDS = 60.0
#: Seconds between two looks whether what a token said was handled: the first wait, and the longest.
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.005, 0.1
#: Longest time that a reader may wait.
MOST_WITHIN = timedelta(minutes=1)
#: Inbox states of what is still to be handled; a fact without a row is one too.
_OPEN = frozenset({InboxState.RETRY})


def facts_of(token: str | None, horizon: float) -> list[Fact]:
    """What a token said and the inbox still remembers; what is older counts as read. Raises `BadToken`."""
    facts = [fact_of(*each) for each in decode_token(token)] if token is not None else []
    return [each for each in facts if not any(each.time) or (int.from_bytes(each.time) + 1) * LEAD_SECONDS >= horizon]


@asynccontextmanager
async def reading(
    runtime: Runtime, declared: Subscription, token: str | None, within: timedelta
) -> AsyncIterator[View]:
    """One snapshot, as soon as the generation that is read has what the token said final. `NotYetRead` after `within`.

    Raises `BadToken`.
    """
    facts = facts_of(token, runtime.store.clock.horizon)
    if not timedelta(0) <= within <= MOST_WITHIN:
        raise HocketError(f"reading(within={within}) is out of bounds: give 0 s to {MOST_WITHIN}")
    clock = runtime.clock
    end, wait = clock.monotonic() + within.total_seconds(), FIRST_LOOK_SECONDS
    while True:
        async with asyncio.timeout(HELD_SECONDS), runtime.store.snapshot() as connection:
            found = await chosen(connection, declared)
            if found.made and not await _missing(connection, declared, found, facts):
                yield await _view(runtime, connection, declared, found)
                return
        left = end - clock.monotonic()
        if left <= 0:
            lacks = "does not hold yet what was said" if found.made else "has no tables yet"
            raise NotYetRead(f"projection {declared.identity} {lacks}, after {within.total_seconds():g} s; ask again")
        await asyncio.sleep(min(wait, left))
        wait = min(wait * 2, LONGEST_LOOK_SECONDS)


async def chosen(connection: AsyncConnection, declared: Subscription) -> Generation:
    """The generation that this process reads. `NotYetRead` where there is none."""
    assert declared.projected is not None
    found = await rows.rows_of(connection, declared.name)
    version = declared.projected.version
    if (one := read_by(found, version)) is not None:
        return one
    if (now := serving(found)) is not None:
        raise NotYetRead(
            f"projection {declared.identity}: version {now.version} serves, and this process has the code of version "
            f"{version}, whose tables are gone: end it"
        )
    raise NotYetRead(f"projection {declared.identity}: no generation of it was begun yet")


async def _view(runtime: Runtime, connection: AsyncConnection, declared: Subscription, found: Generation) -> View:
    assert declared.projected is not None
    caught_up = await rows.caught_up(connection, declared.name, found.n)
    now = runtime.clock.now().timestamp()
    lag = timedelta(seconds=max(now - (caught_up or found.changed), 0.0))
    return View(connection, replace(declared.projected, n=found.n, version=found.version), lag)


async def _missing(
    connection: AsyncConnection, declared: Subscription, found: Generation, facts: Sequence[Fact]
) -> bool:
    """Whether the generation has one of these still to handle; what it does not hear is none."""
    heard = {type_tag(each) for each in found.hears}
    queue = f"{declared.service}.{found.projection}{GENERATION_MARK}{found.n}"
    keys = [each.key(queue) for each in facts if each.event[: len(type_tag(""))] in heard]
    if not keys:
        return False
    asked = select(INBOX.c.key).where(INBOX.c.key.in_(keys), INBOX.c.state.not_in([str(each) for each in _OPEN]))
    done = {bytes(row.key) for row in await connection.execute(asked)}
    return any(key not in done for key in keys)
