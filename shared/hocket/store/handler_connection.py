"""The connections that `tx.db()` and `read()` hand out: SQLAlchemy's own, but they cannot begin or end a transaction.

The store begins, commits and rolls back; a handler only runs statements. Both drivers use this file. A `Borrower` is
whoever may run statements now: one transaction or one `read()`. `HandlerConnection` and `ReadConnection` are what it
runs them on. `Borrower.admit` is asked before each statement (`guard` makes SQLAlchemy ask it); `guard_end` and
`refuse_end` stand before a commit or rollback of the inner connection (`run_sync`, an ORM session's rollback), and the
events at the end of this file before the commit of an ORM session, which would otherwise do nothing and say nothing.

A statement on the driver's own connection may pass all of them: `raw_used` notes that somebody asked for it, and the
driver's transaction finds out at its end whether it is still the one that it began.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import PoolProxiedConnection

from hocket.errors import HocketError, LeaseExpired, StoreError
from hocket.store.errors import Spoilt

#: What a handler reads that tries to begin or end the transaction.
CONTROL_REFUSAL = (
    "this transaction is hocket's: it commits when the handler returns and rolls back when it raises; "
    "do not begin, commit, roll back or close it (begin_nested() is there for a part that may fail, and a session's "
    "flush() for what it is to write)"
)
#: What a handler reads that writes through `read()`.
READ_REFUSAL = "read() gives committed data to look at: write through `await tx.db()`"
#: What a call reads that comes after the commit, or after the rollback.
COMMITTED = "this transaction has ended: its Tx and its connection are no longer usable"
ROLLED_BACK = "this transaction was rolled back: its Tx and its connection are no longer usable"

#: The execution option of a connection that names its borrower.
BORROWER = "hocket_borrower"
#: What a handler reads that changes the session of a connection which goes to the next handler.
SESSION_REFUSAL = (
    "this connection goes to the next handler, and so would what SET or LISTEN changes: "
    "use SET LOCAL, which ends with the transaction, or a connection of your own"
)
#: What a handler reads whose statement would leave something on a connection that other clients get, and any `read()`.
LASTING_REFUSAL = (
    "this connection goes to another client when the transaction ends, and so would what this statement leaves on it: "
    "use what ends with the transaction (set_config(…, true), ON COMMIT DROP, pg_advisory_xact_lock), or a connection "
    "of your own"
)

_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)+"
#: How a statement begins that ends the transaction, or changes the session; behind blanks, semicolons and comments.
_FIRST_WORDS = re.compile(
    r"(?:[\s;]|--[^\n]*(?:\n|$)|/\*.*?\*/|\*/)*+(?:"
    rf"(?P<control>(?:BEGIN|START|COMMIT|END|ABORT|PREPARE|ROLLBACK(?!{_GAP}(?:(?:WORK|TRANSACTION){_GAP})?TO\b))\b)"
    rf"|(?P<session>SET\b(?!{_GAP}(?:LOCAL|CONSTRAINTS|TRANSACTION)\b)|LISTEN\b))",
    re.IGNORECASE | re.DOTALL,
)
#: How a statement begins that changes settings.
_SETTINGS = re.compile(r"(?:[\s;]|--[^\n]*(?:\n|$)|/\*.*?\*/)*+SET\b", re.IGNORECASE | re.DOTALL)
#: What may outlive the transaction on its connection; `set_config` and temporary tables where nothing says otherwise.
_LASTING = re.compile(
    r"\bpg_(?:try_)?advisory_lock|\bWITH\s+HOLD\b|^\s*(?:RESET|DISCARD|LOAD)\b|\bpg_temp\s*\."
    r"|\bINTO\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP",
    re.IGNORECASE,
)
_SET_CONFIG = re.compile(r"\bset_config\s*\(", re.IGNORECASE)
_LOCAL_CONFIG = re.compile(r",\s*true\s*\)", re.IGNORECASE)
_TEMPORARY = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\s(?!.*\bON\s+COMMIT\s+DROP\b)",
    re.IGNORECASE | re.DOTALL,
)
#: Statements whose effects are remembered, and the longest of them in characters.
KNOWN_STATEMENTS = 1024
LONGEST_KNOWN = 10_000


class Effects(NamedTuple):
    """What a statement does beside its work: which refusal it meets, and what it changes."""

    control: bool  # begins or ends the transaction
    session: bool  # SET or LISTEN for the whole session
    settings: bool  # SET LOCAL, or set_config()
    lasting: bool  # something that its connection may keep


@lru_cache(KNOWN_STATEMENTS)
def _effects(statement: str) -> Effects:
    found = _FIRST_WORDS.match(statement)
    return Effects(
        found is not None and bool(found["control"]),
        found is not None and bool(found["session"]),
        _SETTINGS.match(statement) is not None or "set_config" in statement.lower(),
        _lasts(statement),
    )


def _lasts(statement: str) -> bool:
    if _LASTING.search(statement) or _TEMPORARY.search(statement):
        return True
    return len(_SET_CONFIG.findall(statement)) > len(_LOCAL_CONFIG.findall(statement))


class Borrower:
    """Whoever may run statements on a connection of the store. A driver's transaction is one."""

    keeps_connection = True  # what it leaves on its connection can be removed before anybody else gets that

    def __init__(self) -> None:
        self._ended: tuple[type[StoreError], str] | None = None
        self._doomed: Exception | None = None
        self.raw_used = False  # whether somebody asked for the driver's own connection
        self.settings_changed = False  # whether a statement may have changed settings: SET LOCAL, set_config()
        self.connection_changed = False  # whether a statement may have left something on the connection

    @property
    def running(self) -> bool:
        """Whether it may still run statements."""
        return self._ended is None

    def check(self) -> None:
        """Raise the error of `end_with` or `fence` once the borrower may run no more statements."""
        if self._ended is not None:
            kind, text = self._ended
            raise kind(text)

    def admit(self, statement: str) -> None:
        """Raise where it may not run this statement: it has ended, or the statement is hocket's business."""
        self.check()
        effects = (_effects if len(statement) <= LONGEST_KNOWN else _effects.__wrapped__)(statement)
        if effects.control:
            self.refuse()
        if effects.session:
            raise HocketError(SESSION_REFUSAL)
        if effects.lasting and not self.keeps_connection:
            raise HocketError(LASTING_REFUSAL)
        self.settings_changed = self.settings_changed or effects.settings
        self.connection_changed = self.connection_changed or effects.lasting

    def end_with(self, text: str) -> None:
        """From now on each call raises `StoreError` with this text, unless it has ended already."""
        if self._ended is None:
            self._ended = (StoreError, text)

    def doom(self, error: Exception) -> None:
        """Make the transaction roll back at its end and raise `error`; the first one counts."""
        self._doomed = self._doomed or error

    def refuse(self) -> NoReturn:
        """Raise `HocketError` for a begin, commit, rollback or close; it is rolled back even if the handler goes on."""
        error = Spoilt(CONTROL_REFUSAL)
        self.doom(error)
        raise error

    def failed(self, error: BaseException) -> None:
        """A statement of the borrower failed; a driver may remember it."""

    def spoilt(self, error: BaseException) -> Spoilt | None:
        """What the borrower did to its transaction that this error of a statement comes from; None: nothing."""
        return None

    def fence(self, kind: type[StoreError], text: str) -> None:
        """Roll back now, whatever runs; from now on each call raises `kind` with this text."""
        if self._ended is None:
            self._ended = (kind, text)
            self._cut_off()

    def expire(self, seconds: float) -> None:
        """The lease of `seconds` is over: fence the transaction with `LeaseExpired`."""
        self.fence(
            LeaseExpired,
            f"the transaction held the write lease longer than {seconds:g} s and was rolled back: "
            "call the outside before the first `await tx.db()`, and write less at once",
        )

    @property
    def expired(self) -> bool:
        """Whether the lease ran out."""
        return self._ended is not None and self._ended[0] is LeaseExpired

    def _cut_off(self) -> None:
        """Roll back without waiting, in the way of the driver."""


class Reader(Borrower):
    """The borrower of a `read()`: no transaction that could be rolled back, and a connection for each statement."""

    keeps_connection = False

    def doom(self, error: Exception) -> None:
        """Nothing to roll back."""


class _WatchedConnection(Connection):
    """SQLAlchemy's own connection, which notes that somebody asked for the driver's below it."""

    @property
    def connection(self) -> PoolProxiedConnection:
        """The connection of the pool."""
        if (borrower := borrower_of(self)) is not None:
            borrower.raw_used = True
        return super().connection

    def invalidate(self, exception: BaseException | None = None) -> None:
        """Refused to a handler; with an exception it is SQLAlchemy, which gives up a connection that was lost."""
        borrower = borrower_of(self)
        if borrower is not None and exception is None:
            borrower.refuse()
        super().invalidate(exception)


class _BorrowedConnection(AsyncConnection):
    borrower: Borrower
    in_use = False

    def begin(self) -> NoReturn:
        """Raise `HocketError`: only the store begins a transaction."""
        self.borrower.refuse()

    async def start_for(self, borrower: Borrower) -> None:
        """Connect, and let `borrower` decide about each statement from now on."""
        await self.start()
        assert self.sync_connection is not None
        self.sync_connection.execution_options(**{BORROWER: borrower})
        self.sync_connection.begin()  # as SQLAlchemy sees it; an ORM session then joins instead of owning it
        self.sync_connection.__class__ = _WatchedConnection
        self.borrower, self.in_use = borrower, True

    async def release(self) -> None:
        """Give the connection back to the store; what SQLAlchemy rolls back here is no act of the borrower."""
        self.in_use = False
        if self.sync_connection is not None:
            self.sync_connection.execution_options(**{BORROWER: None})
        await super().close()


class HandlerConnection(_BorrowedConnection):
    """What `tx.db()` returns: an `AsyncConnection` whose transaction the store ends."""

    async def commit(self) -> None:
        """Raise `HocketError`: the store commits when the handler returns."""
        self.borrower.refuse()

    async def rollback(self) -> None:
        """Raise `HocketError`: the store rolls back when the handler raises."""
        self.borrower.refuse()

    async def close(self) -> None:
        """Raise `HocketError`: the store still needs the connection."""
        self.borrower.refuse()

    async def invalidate(self, exception: BaseException | None = None) -> None:
        """Raise `HocketError`: the store still needs the connection."""
        self.borrower.refuse()

    async def discard(self) -> None:
        """Close it for good, and give its place back to the store."""
        self.in_use = False
        if self.sync_connection is not None:
            self.sync_connection.execution_options(**{BORROWER: None})
        await super().invalidate()
        await self.release()

    def refuse_end(self) -> None:
        """A commit or rollback of the inner connection (an ORM session, `run_sync`): refused while it is in use."""
        if self.in_use:
            self.borrower.refuse()


class ReadConnection(_BorrowedConnection):
    """What `read()` returns: committed data, each statement by itself."""

    async def commit(self) -> None:
        """Nothing to commit."""

    async def rollback(self) -> None:
        """Nothing to roll back."""

    async def close(self) -> None:
        """The store closes it when `read()` is left."""

    def refuse_end(self) -> None:
        """Nothing is open that could end."""


def borrower_of(connection: Connection | None) -> Borrower | None:
    """Who runs statements on this connection; None where it is the store itself."""
    if connection is None:
        return None
    borrower: Borrower | None = connection.get_execution_options().get(BORROWER)
    return borrower


def guard(engine: AsyncEngine) -> None:
    """Ask the borrower before each statement on the connections of this engine.

    The events are the dialect's, because an engine with events of connections makes each statement a fifth slower.
    """
    event.listen(engine.sync_engine, "do_execute", _before_statement)
    event.listen(engine.sync_engine, "do_executemany", _before_statement)
    event.listen(engine.sync_engine, "do_execute_no_params", _before_statement)


def guard_end(engine: AsyncEngine) -> None:
    """Ask the borrower before a commit or rollback of the inner connection, where the driver cannot."""
    event.listen(engine.sync_engine, "commit", _before_end)
    event.listen(engine.sync_engine, "rollback", _before_end)


def _before_statement(_cursor: Any, statement: str, *more: Any) -> None:
    """The one event before each statement of a handler; the last argument is SQLAlchemy's execution context."""
    borrower = borrower_of(more[-1].root_connection)
    if borrower is not None:
        borrower.admit(statement)


def _before_end(connection: Connection) -> None:
    """A commit or rollback of the whole transaction by way of the inner connection, as an ORM session does it."""
    borrower = borrower_of(connection)
    if borrower is not None:
        borrower.refuse()


@event.listens_for(Session, "after_begin")
def _session_begins(session: Session, _: SessionTransaction, connection: Connection) -> None:
    """An ORM session joins the transaction: remember whose it is, for its commit reaches no connection."""
    borrower = borrower_of(connection)
    if borrower is not None and not isinstance(borrower, Reader):
        session.info[BORROWER] = borrower


@event.listens_for(Session, "before_commit")
def _session_commits(session: Session) -> None:
    """An ORM session commits: the whole is refused, also by `async with session.begin()`; a savepoint is its own."""
    borrower: Borrower | None = session.info.get(BORROWER)
    if borrower is None and isinstance(session.bind, Connection):
        borrower = borrower_of(session.bind)
    if (
        borrower is not None
        and not isinstance(borrower, Reader)
        and borrower.running
        and not session.in_nested_transaction()
    ):
        borrower.refuse()
