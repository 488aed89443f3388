"""Whose an error of an attempt is: its own, one that may pass, or the store's (RULES 3.2)."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from hocket.errors import LeaseExpired, NoConnection, StoreError, TransactionLost
from hocket.retry import Backoff
from hocket.store.errors import EndedByHand, Spoilt
from hocket.store.group_commit import takes_a_write
from hocket.store.port import Store

#: How often one delivery, over all its attempts in this process, is run again without being counted although the store
#: takes writes: its transaction was rolled back in favour of another, or its connection was lost.
SPARED = 5
#: Waits before such a run.
SPARED_BACKOFF = Backoff(first=0.02, longest=0.5)
#: Deliveries whose spared runs are remembered; beyond it those of the oldest are forgotten.
REMEMBERED = 10_000
#: The packages whose errors may tell of a database.
DRIVERS = {"sqlalchemy", "sqlite3", "asyncpg"}
#: Errors below each other (`raise … from …`, groups) that are looked at.
DEPTH = 20


class Whose(StrEnum):
    """Whom an error that an attempt raised is put down to."""

    OWN = "own"  # a failed attempt
    PASSING = "passing"  # the database ended the transaction for a reason that may pass: run again, not counted
    STORE = "store"  # the store takes no writes: looked up and run again once it does, not counted


@dataclass(slots=True)
class Blame:
    """Decides whose an error is. An error is the store's only if a write of the kit's own fails too."""

    store: Store
    _spared: OrderedDict[bytes, int] = field(default_factory=OrderedDict)  # inbox key: runs that were not counted

    async def of(self, key: bytes, error: BaseException) -> Whose:
        """Decide about an error of the delivery with this inbox key; writes to the store where that may be to blame."""
        found = list(_below(error))
        if isinstance(error, LeaseExpired) or not any(_of_a_database(each) for each in found):
            return Whose.OWN
        if any(isinstance(each, NoConnection) for each in found) or not await takes_a_write(self.store):
            return Whose.STORE
        if any(isinstance(each, TransactionLost) for each in found) and self._spare(key):
            return Whose.PASSING
        return Whose.OWN

    def wait(self, key: bytes) -> float:
        """Seconds before a spared delivery is run again."""
        return SPARED_BACKOFF.bound(self._spared.get(key, 1))

    def ended(self, key: bytes) -> None:
        """This delivery is handled: its spared runs are forgotten."""
        if self._spared:
            self._spared.pop(key, None)

    def _spare(self, key: bytes) -> bool:
        runs = self._spared.get(key, 0)
        if runs >= SPARED:
            return False
        self._spared[key] = runs + 1
        if len(self._spared) > REMEMBERED:
            self._spared.popitem(last=False)
        return True


def ended_by_hand(error: BaseException) -> bool:
    """Whether the handler committed or rolled back hocket's transaction past SQLAlchemy."""
    return any(isinstance(each, EndedByHand) for each in _below(error))


def name_handler(error: BaseException, handler: str) -> None:
    """Where a handler has spoilt its own transaction, the error says which handler that was."""
    for each in _below(error):
        if isinstance(each, Spoilt):
            each.handler = handler


def _below(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from or while handling, and the members of groups."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting and len(seen) < DEPTH:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        waiting.extend(below for below in (each.__cause__, each.__context__) if below is not None)


def _of_a_database(error: BaseException) -> bool:
    """Whether a database, by whatever connection, may have raised it."""
    return isinstance(error, StoreError) or str(type(error).__module__).partition(".")[0] in DRIVERS
