"""How a push can end, as metrics and facts name it. Pure."""

from enum import StrEnum


class End(StrEnum):
    """What became of one push. The first group was authentic, is committed and was answered 202."""

    SAID = "said"
    NOTHING = "nothing"  # the mapping said nothing; its key is remembered
    SEEN = "seen"  # the same id again
    TWIN = "twin"  # an equal body under another id (RULES 12.6)
    KEPT = "kept"

    SIGNATURE = "signature"  # 401
    SKEW = "skew"  # 401
    HEADERS = "headers"  # 401: a header that the signature reads stands twice, or is too long
    LARGE = "large"  # 413, 431
    SLOW = "slow"  # 408
    RATE = "rate"  # 429
    FULL = "full"  # 503: the outbox bound
    BUSY = "busy"  # 503: the same id is still committed elsewhere, or the store does not answer
    UNKNOWN = "unknown"  # 404: no webhook of this name


#: What is sampled: it was not authentic.
REFUSED = (End.SIGNATURE, End.SKEW, End.HEADERS)


class Cause(StrEnum):
    """Why an authentic push was kept."""

    UNPARSABLE = "unparsable"
    CONTRACT = "contract"
    MAPPING = "mapping"
    CONFLICT = "conflict"
    DRIFT = "drift"


class State(StrEnum):
    """How a row of the table stands. The first two are open."""

    KEPT = "kept"
    REFUSED = "refused"  # a sample of what was not authentic
    SAID = "said"
    NOTHING = "nothing"
    SEEN = "seen"  # its key was taken meanwhile: by the sender's own retry, or it was a conflict
    DISCARDED = "discarded"
