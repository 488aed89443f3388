"""The options that the decorators of a service take, as a type checker sees them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TypedDict

from hocket.breaker import Breaker
from hocket.declarations.ordering.option import Ordered
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


class HandlerOptions(TimeoutOptions, total=False):
    """The options of a handler."""

    idempotent: bool
    ordered: Ordered
