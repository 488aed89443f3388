"""Holds the lease on this process's outbox rows, and takes over rows whose owner is gone (RULES 4.1)."""

import asyncio
from collections.abc import Awaitable, Callable

from hocket.errors import StoreError
from hocket.runtime import Runtime

#: Why a lease expires.
LATE = "this process was paused, or its store did not answer, for longer than the lease; it continues under a new one"


async def hold_lease(
    runtime: Runtime,
    fetch_all: Callable[[], None],
    suspect: Callable[[str], None],
    ask_clock: Callable[[], Awaitable[None]],
) -> None:
    """Renew the lease, take over rows and ask the store what time it is (RULES 11.4), until cancelled.

    `fetch_all` is called when the store holds rows of ours that are not in memory, `suspect` with the reason when the
    store does not answer. After an expired lease a new one begins: rows that others have taken meanwhile belong to
    them and are published at most twice. Nothing is taken over at that renewal: if no process could reach the store,
    all leases have expired.
    """
    store = runtime.store
    while True:
        await asyncio.sleep(runtime.config.owner_renew_seconds)
        try:
            if not await store.renew():
                runtime.trouble("the lease expired before it was renewed", reason=LATE)
                fetch_all()
            elif await store.take_over():
                fetch_all()
            await ask_clock()
        except StoreError as error:
            runtime.trouble("the lease could not be renewed", reason=str(error))
            suspect(str(error))
