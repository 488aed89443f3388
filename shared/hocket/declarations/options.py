"""The options that the decorators of a service take, as a type checker sees them."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from hocket.breaker import Breaker
from hocket.declarations.ordering.option import Ordered
from hocket.drift.kinds import Mode
from hocket.retry import Retry


class TimeoutOptions(TypedDict, total=False):
    """Further options of a time-out: those of a handler."""

    name: str
    formerly: str | tuple[str, ...]
    retry: Retry
    breaker: Breaker
    timeout: timedelta
    concurrency: int
    prefetch: int
    allow: Mapping[str, str]
    since: Literal["first"] | datetime
    drift: Mode


class HandlerOptions(TimeoutOptions, total=False):
    """The options of a handler."""

    idempotent: bool
    ordered: Ordered
    latest_by: str
    after: Callable[..., Any]
    within: timedelta
    side_effects: bool


class ProjectionOptions(TypedDict, total=False):
    """The options of a projection."""

    version: int
    name: str
    retry: Retry
    ordered: Ordered
    latest_by: str
    seed: Callable[[Any], Coroutine[Any, Any, None]]
