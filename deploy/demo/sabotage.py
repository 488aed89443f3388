"""For tests only: take one promise away, to see that the demo's verdict turns red and names what broke.

`python -m deploy.demo.sabotage WHICH MODULE:PORT` runs a service as `hocket run` does, but spoilt.
"""

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hocket import cli, saga
from hocket.outbox.builder import OutboxBuilder
from hocket.resilience.breakers import view
from hocket.resilience.breakers.row import BreakerRow, Sight
from hocket.store.records import InboxRow, OutboxRow
from hocket.store.sqlite import statements
from hocket.store.sqlite.store import SqliteStore

#: Of so many sets of rows that are said, one is dropped.
DROPPED = 25


def _inbox() -> None:
    """Every arrival is admitted, and wins."""

    async def knows_nothing(_store: SqliteStore, _keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        return {}

    _put(SqliteStore, "inbox", knows_nothing)
    _put(statements, "_WIN_INBOX", f"{vars(statements)['_PUT_INBOX']} WHERE ? IS NOT NULL OR ? IS NOT NULL")


def _undo() -> None:
    """Failure events do nothing."""

    def nothing(*_: object, **__: object) -> saga.Failed:
        return saga.Failed(None, None)

    _put(saga, "fail", nothing)


def _outbox() -> None:
    """What was said gets lost once in a while."""
    count = itertools.count(1)
    rows = OutboxBuilder.rows

    def forgetful(*words: Any, **named: Any) -> tuple[OutboxRow, ...]:
        said = rows(*words, **named)
        return () if said and next(count) % DROPPED == 0 else said

    _put(OutboxBuilder, "rows", forgetful)


def _breaker() -> None:
    """Failures never open it."""

    def never(sight: Sight, *_: object, **__: object) -> BreakerRow:
        return sight.row

    _put(view, "told", never)


def _put(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


SABOTAGES: Mapping[str, Callable[[], None]] = {"inbox": _inbox, "undo": _undo, "outbox": _outbox, "breaker": _breaker}


def spoil(which: str) -> None:
    """Take one promise away from every service of this process."""
    SABOTAGES[which]()


if __name__ == "__main__":
    spoil(sys.argv[1])
    sys.argv = ["hocket", "run", *sys.argv[2:]]
    cli.main()
