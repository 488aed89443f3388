"""Every error that hocket raises.

HocketError
├── DeclarationError      a declaration that cannot be meant; raised at import, says how to mend it
├── ConfigError           a setting or the machine does not allow the service to run (port taken, 406, database locked)
├── Undecodable           bytes that are no envelope or no such event; carries the field and the cause
├── Unsayable             an event that may not leave: undeclared, too big, headers over the bound
├── StoreError            the store does not answer or cannot be written; says which file and why
│   └── LeaseExpired      a transaction held its write lease beyond the bound and was rolled back
├── TransportError        the broker does not answer or refuses; says which address and why
├── OutboxFull            too many due events wait for the broker; say again later (HTTP answers 503)
├── OutsideTooLate        a call to the outside was entered with the transaction open
├── BreakerOpen           a breaker refuses the call; the attempt is deferred
└── Control               words of a handler that are no failures
    ├── Reject            dead now
    └── Defer             later, costs no attempt
"""

from datetime import timedelta


class HocketError(Exception):
    """Root of every error raised by hocket."""


class DeclarationError(HocketError):
    """A service, event or handler is declared in a way that cannot be meant; the text says how to mend it."""


class ConfigError(HocketError):
    """A setting or the surroundings forbid the start; the text names the object, both values and the way out."""


class Undecodable(HocketError):
    """Bytes that are no envelope, or data that is no such event; `field` names the place, `cause` the reason."""

    def __init__(self, field: str, cause: str) -> None:
        super().__init__(f"{field}: {cause}")
        self.field = field
        self.cause = cause


class Unsayable(HocketError):
    """An event that must not leave the service: undeclared, too big, or its headers over the bound."""


class StoreError(HocketError):
    """The store does not answer or cannot be written; nothing was lost, the work is taken up again."""


class LeaseExpired(StoreError):
    """A transaction held the write lease longer than its bound; it was rolled back and is fenced."""


class TransportError(HocketError):
    """The broker does not answer or refuses; the text names the address and the reason."""


class OutboxFull(HocketError):
    """As many due events as the bound allows wait for the broker; say again later (RULES 4.6)."""


class OutsideTooLate(HocketError):
    """`tx.outside` was entered while the transaction is open: call the outside before the first `await tx.db()`."""


class BreakerOpen(HocketError):
    """The breaker is open and refuses the call; the attempt is deferred and costs nothing."""

    def __init__(self, breaker: str, wait: timedelta) -> None:
        super().__init__(f"breaker {breaker} is open for another {wait.total_seconds():.1f} s")
        self.breaker = breaker
        self.wait = wait


class Control(HocketError):
    """A handler's word about its attempt; not a failure and not logged as one."""


class Reject(Control):
    """Raise in a handler: this delivery is dead now, without further attempts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Defer(Control):
    """Raise in a handler: try this delivery again after `wait`; costs no attempt."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"deferred for {wait.total_seconds():.3f} s")
        self.wait = wait
