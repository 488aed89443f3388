"""Station decide: turns what a handler returned or raised into an outcome. The only place that decides it."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hocket.delivery.ending.error_text import CAUSE_CHARS, clean, stack, text_of
from hocket.errors import BreakerOpen, Defer, Reject, Unsayable
from hocket.event import Event, Scheduled
from hocket.masking.mask import Mask
from hocket.outcome import Again, Bury, Done, Outcome
from hocket.retry import Retry

PROMISE = "what the handler returned or raised becomes an outcome: done, again or buried"

#: Longest wait that `Defer` gets.
LONGEST_DEFER = timedelta(days=3650)

#: The cause of an attempt that exceeded its time limit.
TIMEOUT = "timeout"


def returned(value: Any, queue: str) -> Done:
    """A handler returned: the events of its return value, in order, without None.

    `Unsayable` names the subscription `queue` and the type of a value that is not an event.
    """
    if value is None:
        return Done()
    if isinstance(value, Event | Scheduled):
        return Done((value,))
    several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    said = tuple(each for each in several if each is not None)
    for each in said:
        if not isinstance(each, Event | Scheduled):
            kind = getattr(each, "__hocket_type__", "") or type(each).__name__
            raise Unsayable(f"{queue} says {kind}, which is not an Event: return what its annotation declares, or None")
    return Done(said)


def failed(
    error: BaseException,
    *,
    retry: Retry,
    used: int,
    now: datetime,
    chance: random.Random,
    free: float | None,
    mask: Mask,
) -> Outcome:
    """A handler raised. `used`: attempts that count; `free`: seconds to wait where a breaker defers it without cost.

    `mask` hides the sensitive values of the events in hand.
    """
    if isinstance(error, Reject):
        return Bury("rejected", text_of(error, mask), began=True)
    if isinstance(error, Defer):
        return Again(now + min(error.wait, LONGEST_DEFER), deferred=True, cause="deferred", error=text_of(error, mask))
    if isinstance(error, BreakerOpen):
        return Again(now + error.wait, deferred=True, cause="breaker", error=text_of(error, mask))
    name = clean(mask.hide(type(error).__name__))[:CAUSE_CHARS]
    cause = TIMEOUT if isinstance(error, TimeoutError) else name
    text, trace = clean(f"{name}: {text_of(error, mask)}"), stack(error, mask)
    if free is not None:
        return Again(now + timedelta(seconds=free), deferred=True, cause=cause, error=text, trace=trace)
    if retry.again(error, used):
        return Again(now + retry.wait(used, chance), cause=cause, error=text, trace=trace)
    return Bury(cause, text, trace, began=True)
