"""Opening the store, holding what this process owns, and taking over what others left behind (RULES 4.1)."""

import asyncio
from collections.abc import Callable

from hocket.errors import StoreError
from hocket.runtime import Runtime

PROMISE = "what a process owned that is gone is owned by another within a lease; one that was late goes on"


LATE = "this process was paused, or its store was away, for longer than the lease; it goes on under a new one"


async def hold_lease(runtime: Runtime, look_again: Callable[[], None], suspect: Callable[[str], None]) -> None:
    """Renew the lease and take over, for ever; `look_again` is told when the store holds rows never handed over.

    While the store does not answer the lease runs on, and `suspect` is told why, also where nobody else asks it. A
    lease that was over is begun anew: what others have taken meanwhile is theirs, and is published twice at most. Then
    nothing is taken over for one renewal: where the store was away from everybody, everybody is late.
    """
    service, store, signals = runtime.service, runtime.store, runtime.signals
    while True:
        await asyncio.sleep(runtime.config.owner_renew_seconds)
        try:
            if not await store.renew():
                signals.trouble(service, "the lease was over before it was renewed", reason=LATE)
                look_again()
            elif await store.take_over():
                look_again()
        except StoreError as error:
            signals.trouble(service, "the lease could not be renewed", reason=str(error))
            suspect(str(error))
