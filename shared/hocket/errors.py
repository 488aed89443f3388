"""Every error that hocket raises.

HocketError
├── DeclarationError      an invalid declaration; raised at import, the message says how to fix it
├── ConfigError           a setting or the machine prevents the start (port in use, broker's 406, database locked)
├── Undecodable           bytes that are not an envelope or not the expected event; names the field and the cause
├── Unsayable             an event that must not be published: undeclared, too large, headers over the bound
├── StoreError            the store does not answer or cannot be written; names the database and the reason
│   ├── LeaseExpired      a transaction held the write lease beyond its bound and was rolled back
│   ├── NoConnection      no connection for a handler could be had: its transaction did not begin
│   ├── RowLocked         another transaction holds a row that this one needs
│   └── TransactionLost   the database ended a transaction for a reason that may pass
├── TransportError        the broker does not answer or refuses; names the address and the reason
├── OutboxFull            too many due events wait for the broker; try again later (HTTP answers 503)
├── BadToken              a text that is no token, given to `reading(after=…)`; HTTP answers 400
├── NotYetRead            a projection does not hold what was asked for yet (HTTP answers 503)
├── KeyTaken              another transaction with the same key was first; what was joined must be rolled back
├── OutsideTooLate        `tx.outside` was entered while the transaction was open
├── BreakerOpen           an open breaker refuses the call; the attempt is deferred (HTTP answers 503)
│   └── LimitReached      as many calls run or began as the breaker's limits allow; the attempt is deferred
└── Control               a handler's decision about its attempt, not a failure
    ├── Reject            dead letter at once
    └── Defer             again later; costs no attempt
"""

from datetime import timedelta

#: Seconds after which a caller may ask again that was answered 503, for an `OutboxFull` or a `StoreError`.
RETRY_AFTER_SECONDS = 2


class HocketError(Exception):
    """Root of every error raised by hocket."""


class DeclarationError(HocketError):
    """A service, event or handler is declared wrongly; the message says how to fix it."""


class ConfigError(HocketError):
    """A setting or the environment prevents the start; the message names the object, both values and the way out."""


class Undecodable(HocketError):
    """Bytes that are not an envelope, or data that is not the expected event; `field` is where, `cause` why."""

    def __init__(self, field: str, cause: str) -> None:
        super().__init__(f"{field}: {cause}")
        self.field = field
        self.cause = cause


class Unsayable(HocketError):
    """An event that must not be published: undeclared, too large, or with headers over the bound."""


class StoreError(HocketError):
    """The store does not answer or cannot be written. Nothing was lost: the work is repeated."""


class LeaseExpired(StoreError):
    """A transaction held the write lease beyond its bound; it was rolled back, and its later writes are refused."""


class NoConnection(StoreError):
    """No connection for a handler could be had in time: its transaction did not begin."""


class RowLocked(StoreError):
    """Another transaction holds a row that this one needs; nothing was written."""


class TransactionLost(StoreError):
    """The database ended a transaction for a reason that may pass: in favour of another, or with its connection."""


class TransportError(HocketError):
    """The broker does not answer or refuses; the message names the address and the reason."""


class OutboxFull(HocketError):
    """As many due events wait for the broker as the bound allows; try again later (RULES 4.6)."""


class BadToken(HocketError):
    """A text that no transaction gave as its token (RULES 14.7); `cause` says what is wrong with it."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the token {cause}: bring back unchanged what tx.token gave")
        self.cause = cause


class NotYetRead(HocketError):
    """A projection does not hold yet what a token said, or nothing of it serves yet; ask again (RULES 14.7)."""


class KeyTaken(HocketError):
    """Another transaction has used the same key meanwhile; let it leave the application's transaction (RULES 2.3)."""


class OutsideTooLate(HocketError):
    """`tx.outside` was entered while the transaction was open; enter it before the first `await tx.db()`."""


class BreakerOpen(HocketError):
    """The breaker is open and refuses the call; the delivery is deferred and uses no attempt."""

    def __init__(self, breaker: str, wait: timedelta) -> None:
        super().__init__(f"breaker {breaker} is open for another {wait.total_seconds():.1f} s")
        self.breaker = breaker
        self.wait = wait


class LimitReached(BreakerOpen):
    """As many calls run, or began, as the limits of the breaker allow; the delivery is deferred, at no attempt."""

    def __init__(self, breaker: str, wait: timedelta) -> None:
        super().__init__(breaker, wait)
        self.args = (f"as many calls as {breaker} allows run or have begun",)


class Control(HocketError):
    """A handler's decision about its attempt; it is not a failure and not logged as one."""


class Reject(Control):
    """Raise in a handler: the delivery becomes a dead letter at once, without further attempts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutsideInHistory(Reject):
    """`tx.outside` was entered in a handler that reads history: it would call outside for what is long past."""

    def __init__(self, breaker: str) -> None:
        super().__init__(
            f"tx.outside({breaker}) was entered for an event of history: ask tx.replaying and leave the call out, or "
            "write side_effects=True in the handler where calling now is right"
        )


class Defer(Control):
    """Raise in a handler: the delivery comes again after `wait`, at least a second, and uses no attempt."""

    def __init__(self, wait: timedelta) -> None:
        if not isinstance(wait, timedelta):
            raise HocketError(f"Defer({wait!r}): give a timedelta, as in Defer(timedelta(seconds=30))")
        super().__init__(f"deferred for {wait.total_seconds():.3f} s")
        self.wait = wait
