"""Starts what compares the log with the inbox: the check of the log (RULES 4.8), and the refill (RULES 7.5 j)."""

from collections.abc import Callable, Mapping

from hocket.delivery.runner import SubscriptionRunner
from hocket.runtime import Runtime
from hocket.streams.log_check import LogCheck
from hocket.streams.refill.refill import Refill


async def start_checks(
    log_check: LogCheck,
    runners: Mapping[str, SubscriptionRunner],
    runtime: Runtime,
    readiness: list[Callable[[], list[str]]],
) -> None:
    """Start both, unless `HOCKET_LOG_CHECK_EVENTS_PER_SECOND` is 0; `readiness` gets what the refill says."""
    if not runtime.config.log_check_events_per_second:
        return
    await log_check.prepare()
    runtime.tasks.spawn("log check", log_check.run(), may_end=True)
    refill = Refill(runtime, runners)
    readiness.append(refill.reasons)
    runtime.tasks.spawn("refill", refill.run())
