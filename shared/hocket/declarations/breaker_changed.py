"""The event that a service says of its breakers, once a change (`service.says_breakers()`, RULES 6.7)."""

from datetime import datetime

from hocket.event import Event


def breaker_changed(service: str) -> type[Event]:
    """The class of that event for this service: each type has one speaker."""

    class BreakerChanged(Event, type=f"{service}.breaker_changed", subject="breaker/{service}/{name}", version=1):
        """A breaker of the service has changed its state."""

        service: str
        name: str
        was: str
        state: str  # closed, half-open, open or held
        until: datetime | None  # when the period is over; None: there is none, or a person ends it
        reason: str
        by: str  # the person who did it, "" nobody

    return BreakerChanged
