"""Holding what this process owns, and taking over what others left behind (RULES 4.1)."""

import asyncio
from collections.abc import Callable

from hocket.errors import HocketError, StoreError
from hocket.signals import Signals
from hocket.store import OWNER_RENEW_SECONDS, Store

PROMISE = "what a process owned that is gone is owned by another within a lease; a process without a lease ends"


class Fenced(HocketError):
    """The lease of this process was over: others may have taken what it owned, so it ends and starts anew."""


async def hold(service: str, store: Store, signals: Signals, look_again: Callable[[], None]) -> None:
    """Renew the lease and take over, for ever; `look_again` is told when the store holds rows never handed over.

    `Fenced` where the lease was over. While the store does not answer the lease runs on.
    """
    while True:
        await asyncio.sleep(OWNER_RENEW_SECONDS)
        try:
            held = await store.renew()
            if held and await store.take_over():
                look_again()
        except StoreError as error:
            signals.trouble(service, "the lease could not be renewed", reason=str(error))
            continue
        if not held:
            raise Fenced(
                f"the lease of {service} was over before it was renewed: this process was paused, or its store was "
                "away, for longer than the lease; it ends, so that its supervisor starts it anew"
            )
