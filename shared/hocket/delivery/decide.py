"""Station decide: turns what a handler returned or raised into an outcome. The only place that decides it."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hocket.declarations.subscription import Subscription
from hocket.delivery.ending.error_text import CAUSE_CHARS, clean, stack, text_of
from hocket.errors import BreakerOpen, Defer, LimitReached, Reject, Unsayable
from hocket.event import Event, Scheduled
from hocket.masking.mask import Mask
from hocket.outbox.builder import undeclared
from hocket.outcome import Again, Bury, Done, Outcome
from hocket.resilience.isolation import END_OF_PROCESS
from hocket.retry import Retry

PROMISE = "what the handler returned or raised becomes an outcome: done, again or buried"

#: Shortest and longest wait that `Defer` gets: without the first, a wait that is computed and has just passed, or is
#: wrong, would run the handler in a loop.
SHORTEST_DEFER = timedelta(seconds=1)
LONGEST_DEFER = timedelta(days=3650)

#: The cause of an attempt that exceeded its time limit.
TIMEOUT = "timeout"

#: The outcome of a handler that said nothing.
NOTHING = Done()


def returned(value: Any, subscription: Subscription) -> Done:
    """A handler returned: the events of its return value, in order, without None.

    `Unsayable` says what is wrong with a value that its annotation does not allow.
    """
    answer = subscription.answer
    if answer.alone.takes(value):
        return NOTHING if value is None else Done((value,))
    several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    said = tuple(each for each in several if each is not None)
    for each in said:
        if not isinstance(each, Event | Scheduled):
            kind = getattr(each, "__hocket_type__", "") or type(each).__name__
            raise Unsayable(
                f"{subscription.queue} says {kind}, which is not an Event: return what its annotation declares, or None"
            )
        model = type(each.event if isinstance(each, Scheduled) else each)
        if model not in subscription.says and model not in subscription.scheduled:
            raise undeclared(subscription.queue, model)
    if fault := answer.fault(value):
        raise Unsayable(f"{subscription.queue} {fault}")
    return Done(said)


def failed(
    error: BaseException,
    *,
    retry: Retry,
    used: int,
    chance: random.Random,
    free: float | None,
    mask: Mask,
    whole: bool = False,
) -> Outcome:
    """A handler raised. `used`: attempts that count; `free`: seconds to wait where a breaker defers it without cost.

    `mask` hides the sensitive values of the events in hand; `whole` keeps the kit's own frames of the stack too.
    """
    if isinstance(error, Reject):
        return Bury("rejected", text_of(error, mask), began=True)
    if isinstance(error, Defer):
        wait = min(max(error.wait, SHORTEST_DEFER), LONGEST_DEFER)
        return Again(wait, deferred=True, cause="deferred", error=text_of(error, mask))
    if isinstance(error, BreakerOpen):
        cause = "limit" if isinstance(error, LimitReached) else "breaker"
        return Again(error.wait, deferred=True, cause=cause, error=text_of(error, mask))
    name = clean(mask.hide(type(error).__name__))[:CAUSE_CHARS]
    cause = TIMEOUT if isinstance(error, TimeoutError) else name
    words = _words(error, mask)
    text, trace = clean(f"{name}: {words}" if words else name), stack(error, mask, whole=whole)
    if free is not None:
        return Again(timedelta(seconds=free), deferred=True, cause=cause, error=text, trace=trace)
    if retry.again(error, used):
        return Again(retry.wait(used, chance), cause=cause, error=text, trace=trace)
    return Bury(cause, text, trace, began=True)


def _words(error: BaseException, mask: Mask) -> str:
    """The error's text; a sentence for one that has none, or only a number."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return END_OF_PROCESS
    if isinstance(error, asyncio.CancelledError):
        return "this attempt was cancelled, and not by hocket: something kept its task and cancelled it"
    return text_of(error, mask)
