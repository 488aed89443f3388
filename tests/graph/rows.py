"""The rows of one service in memory, written and read by the SQLite driver's own statements.

Several processes share them, as on PostgreSQL: an owner is shown while its process lives, whoever asks.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from hocket.saga.ledger import Kept, LedgerRow
from hocket.store.records import Admitted, Ending, InboxRow, OutboxRow, Written
from hocket.store.sqlite import ledger, schema, statements
from hocket.store.sqlite.connection import PREPARED, write_transaction
from hocket.store.sqlite.timers.due import SqliteTimers

#: The one moment at which everything happens, and one at which every time-out is due.
NOW, LATER = 1_800_000_000.0, 1_900_000_000.0
#: Time-outs that are called at once.
MOST_CALLED = 64

_TABLES = ("hocket_inbox", "hocket_ledger", "hocket_kept", "hocket_timers")

Values = tuple[Any, ...]


class Snapshot(NamedTuple):
    """Every row of one service, as columns."""

    inbox: tuple[Values, ...] = ()
    ledger: tuple[Values, ...] = ()
    kept: tuple[Values, ...] = ()
    timers: tuple[Values, ...] = ()


class Rows:
    """What admission and commit ask of a `hocket.store.port.Store`; `boot` asks, and `living` processes own rows."""

    def __init__(self) -> None:
        self.boot = ""
        self.living: frozenset[str] = frozenset()
        self.clock = SimpleNamespace(horizon=0.0)
        self._db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=PREPARED)
        schema.create(self._db, ":memory:")
        self._is = Snapshot()
        self._due = SqliteTimers("", lambda: LATER, self._run, self._run)
        self.timers = SqliteTimers("", lambda: NOW, self._run, self._run)

    def load(self, snapshot: Snapshot) -> None:
        """Be as this snapshot says."""
        if self._is == snapshot:
            return
        self._db.execute("BEGIN")
        for table, rows in zip(_TABLES, snapshot, strict=True):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 -- one of the kit's tables
            for row in rows:
                self._db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)  # noqa: S608 -- the same
        self._db.execute("DELETE FROM hocket_outbox")
        self._db.execute("COMMIT")
        self._is = snapshot

    def snapshot(self) -> Snapshot:
        """The rows as they are."""
        found = [tuple(self._db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()) for table in _TABLES]  # noqa: S608 -- the same
        self._is = Snapshot(*found)
        return self._is

    async def _run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return work(self._db)

    def _owned(self, rows: Mapping[str, LedgerRow]) -> dict[str, LedgerRow]:
        """The same rows, with the owners that live; the driver of one process knows of none but itself."""
        return {run: self._with_owner(row) for run, row in rows.items()}

    def _with_owner(self, row: LedgerRow) -> LedgerRow:
        owner, boot = self._db.execute(
            "SELECT owner, boot FROM hocket_ledger WHERE run = ?", (bytes.fromhex(row.run),)
        ).fetchone()
        return row._replace(owner=owner, boot=boot) if boot in self.living else row

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that exist of these keys."""
        return statements.inbox(self._db, keys)

    async def admit(self, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        """Look up, and begin what is new, in a transaction of their own."""
        with write_transaction(self._db):
            found = statements.admit(self._db, keys, begins, runs, self.boot, NOW)
        return found._replace(ledger=self._owned(found.ledger))

    async def kept(self, runs: Sequence[str]) -> Mapping[str, Kept]:
        """What is kept for the undos of these runs."""
        return ledger.kept(self._db, runs)

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in a transaction of their own."""
        with write_transaction(self._db):
            return statements.commit(self._db, endings, self.boot, NOW)

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The rows of these runs, in the transaction that is open."""
        return self._owned(ledger.ledger(self._db, runs, self.boot))

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in the transaction that is open."""
        return statements.write(self._db, endings, self.boot, NOW)

    @asynccontextmanager
    async def kit_transaction(self) -> AsyncIterator["Rows"]:
        """A write transaction of the kit's own."""
        with write_transaction(self._db):
            yield self

    async def call_due(self, subscriptions: Sequence[str]) -> list[OutboxRow]:
        """Every period is over: call what is armed."""
        return await self._due.call_due(subscriptions, MOST_CALLED)
