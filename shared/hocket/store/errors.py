"""Errors that both drivers raise alike: a commit that the database refuses, a transaction that was ended by hand."""

from sqlalchemy.exc import DBAPIError, IntegrityError

from hocket.errors import HocketError

#: What a handler reads whose transaction is no longer the one that the kit began.
ENDED_BY_HAND = (
    "this transaction was committed or rolled back by hand, past SQLAlchemy: what was written before stands or is lost "
    "by itself, and nothing of the rest is kept; leave COMMIT and ROLLBACK to hocket"
)


class EndedByHand(HocketError):
    """A handler ended hocket's transaction through the driver's own connection; its inbox row may stand by itself."""

    def __init__(self) -> None:
        super().__init__(ENDED_BY_HAND)


def commit_refused(error: Exception, *, constraint: bool) -> DBAPIError:
    """What SQLAlchemy raises for a refused COMMIT: the database has rolled all back, so the outcome is known."""
    kind = IntegrityError if constraint else DBAPIError
    return kind("COMMIT", None, error)
