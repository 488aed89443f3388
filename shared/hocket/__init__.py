"""hocket: services that coordinate by events on RabbitMQ, without a central workflow."""

from hocket.breaker import Breaker
from hocket.errors import Defer, Reject
from hocket.event import Death, Event, Heard, Scheduled, Sensitive
from hocket.retry import Retry
from hocket.service import Service
from hocket.tx import Outside, Tx, View

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - in the order of the headings
    # what a service is
    "Service",
    # what it hears and says
    "Heard",
    "Event",
    "Scheduled",
    "Sensitive",
    # what a handler holds while it runs
    "Tx",
    "Outside",
    "View",
    # how it handles failures
    "Retry",
    "Breaker",
    "Reject",
    "Defer",
    "Death",
]
