"""Decides what a request may do by the row of its key (RULES 13.2). Pure."""

from enum import Enum
from typing import NamedTuple

#: Seconds for which a claim holds without being renewed, by the store's clock.
LEASE_SECONDS = 15.0
#: Seconds ahead at which no lease ends, unless a clock that was ahead has written it: two clocks differ a little.
FURTHEST_SECONDS = 2 * LEASE_SECONDS

BEGUN = "begun"
ENDED = "ended"


class CommandRow(NamedTuple):
    """One row of `hocket_commands`."""

    key: bytes
    state: str
    owner: str  # of one run, new each time
    route: str
    flow: str
    fingerprint: bytes
    until: float  # seconds since 1970
    attempt: int
    status: int
    headers: str  # JSON, a list of pairs
    body: bytes
    updated: float  # seconds since 1970


class Claim(Enum):
    """What the request is to do."""

    OTHER = "other"  # the key belongs to another request
    REPLAY = "replay"  # the answer is there
    WAIT = "wait"  # another run is at work
    TAKE = "take"  # the run before has died: this one runs the handler again


def claim_of(row: CommandRow, fingerprint: bytes, now: float, *, dead: bool = False) -> Claim:
    """What a request may do whose key has this row; `now` by the store's clock, asked after the row was read.

    `dead`: the process that ran it is known to be gone, so nobody waits for its lease.
    A lease that ends much later than a lease lasts was written by a clock that was ahead: it holds nobody up
    (RULES 11.2).
    """
    if row.fingerprint != fingerprint:
        return Claim.OTHER
    if row.state == ENDED:
        return Claim.REPLAY
    if dead:
        return Claim.TAKE
    return Claim.WAIT if now < row.until <= now + FURTHEST_SECONDS else Claim.TAKE
