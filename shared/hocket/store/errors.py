"""Errors that both drivers raise alike: a commit that the database refuses, a transaction that its handler spoilt."""

from sqlalchemy.exc import DBAPIError, IntegrityError

from hocket.errors import HocketError

#: What a handler reads whose transaction is no longer the one that the kit began.
ENDED_BY_HAND = (
    "this transaction was committed or rolled back by hand, past SQLAlchemy: what was written before stands or is lost "
    "by itself, and nothing of the rest is kept; leave COMMIT and ROLLBACK to hocket"
)


#: What a handler reads that has written to a transaction which it made read-only.
MADE_READ_ONLY = (
    "this transaction was made read-only, by SET TRANSACTION READ ONLY or a setting, and hocket has to write in it "
    "what became of the delivery: take that out, and read through `tx.read()` what is only to be read"
)
#: What a handler reads whose transaction has no connection any more.
CLOSED_BY_HAND = (
    "the connection of this transaction was closed: by close() or invalidate(), or because a statement on it was "
    "cancelled. Nothing of it is kept: leave closing to hocket, and bound a statement by `SET LOCAL statement_timeout`"
)


class Spoilt(HocketError):
    """A handler's own act made its transaction unusable; its attempt has failed (RULES 3.2). `handler` names it."""

    handler = ""

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.handler}: {text}" if self.handler else text


class MadeReadOnly(Spoilt):
    """A handler made hocket's transaction read-only."""

    def __init__(self) -> None:
        super().__init__(MADE_READ_ONLY)


class ClosedByHand(Spoilt):
    """A handler closed the connection of hocket's transaction, or cancelled a statement on it, which closes it."""

    def __init__(self) -> None:
        super().__init__(CLOSED_BY_HAND)


class EndedByHand(Spoilt):
    """A handler ended hocket's transaction through the driver's own connection; its inbox row may stand by itself."""

    def __init__(self) -> None:
        super().__init__(ENDED_BY_HAND)


def commit_refused(error: Exception, *, constraint: bool) -> DBAPIError:
    """What SQLAlchemy raises for a refused COMMIT: the database has rolled all back, so the outcome is known."""
    kind = IntegrityError if constraint else DBAPIError
    return kind("COMMIT", None, error)
