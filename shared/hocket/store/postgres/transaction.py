"""One open write transaction on PostgreSQL, bounded in time by its lease, on one connection of the handlers' pool."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError
from hocket.saga.ledger import LedgerRow
from hocket.store.errors import ClosedByHand, EndedByHand, MadeReadOnly, Spoilt
from hocket.store.handler_connection import COMMITTED, ROLLED_BACK, Borrower, HandlerConnection
from hocket.store.postgres import sql, statements
from hocket.store.postgres.errors import READ_ONLY, code_of, commit_error, kit_error
from hocket.store.postgres.ledger import runs as ledger
from hocket.store.postgres.ledger import sql as ledger_sql
from hocket.store.postgres.pools import Pools
from hocket.store.postgres.statements import rows_touched
from hocket.store.records import Ending, Offset, Written
from hocket.store.sql import ADVANCE, FIRST_OFFSET, OFFSET

T = TypeVar("T")

#: Seconds after the lease at which the server ends the transaction by itself.
SERVER_LATER = 1.0
#: Seconds that a rollback may take; then the connection is closed instead.
ROLLBACK_SECONDS = 5.0
#: SQLSTATE of each statement after one that failed.
_ABORTED = "25P02"
#: The setting that the kit gives to each of its transactions, in milliseconds: another one does not have it.
_BOUND = "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
#: What a handler may have changed by `SET LOCAL` and what decides about the kit's statements: whose rights count, which
#: tables a name finds, how long they may take. The handler's own statements find it again.
_SETTINGS = ("role", "search_path", "row_security", "lock_timeout", "statement_timeout")
_THEIR_SETTINGS = "SELECT " + ", ".join(f"current_setting('{name}')" for name in _SETTINGS)
_OWN_SETTINGS = "; ".join(f"SET LOCAL {name} TO DEFAULT" for name in (*_SETTINGS, "synchronous_commit"))
_GIVE_BACK = "SELECT " + ", ".join(f"set_config('{name}', ${at}, true)" for at, name in enumerate(_SETTINGS, 1))


class PostgresTx(Borrower):
    """A `hocket.store.port.WriteTransaction`. It begins with its first statement; `end` commits, `abort` rolls back.

    `lease` is in seconds. `terminate` ends the session with this process id on the server, without waiting for it.
    """

    def __init__(self, pools: Pools, boot: str, clock: Clock, lease: float, terminate: Callable[[int], None]) -> None:
        super().__init__()
        self._pools = pools
        self.keeps_connection = not pools.sessions.by_transaction
        self._boot = boot
        self._clock = clock
        self._lease = lease
        self._terminate = terminate
        self._bound = str(int((lease + SERVER_LATER) * 1000))
        self._begun = False
        self._handler: HandlerConnection | None = None
        self._raw: asyncpg.Connection | None = None
        self._pid = 0  # of the server process; 0 until the transaction has begun
        self._timer: asyncio.TimerHandle | None = None
        self._first_failed: BaseException | None = None
        self._opening = asyncio.Lock()

    # -- the port --------------------------------------------------------------------------------------------------

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order. After an error the transaction can only roll back."""
        now = self._clock.now().timestamp()
        try:
            await self._check_whole()
            return await self._own(lambda raw: statements.write(raw, endings, self._boot, now))
        except Exception as error:
            self.doom(error)
            raise

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows that exist of these runs, locked; ended leases have no owner."""
        self.check()
        if not runs:
            return {}
        return ledger.rows(await self._own(lambda raw: raw.fetch(ledger_sql.LOCK, ledger.names(runs), self._boot)))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        return rows_touched(await self._own(lambda raw: raw.execute(sql.CANCEL, schedule))) > 0

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        found = await self._own(lambda raw: raw.fetchrow(OFFSET, reader))
        return Offset(*found) if found else Offset()

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset."""
        values = (to.next, to.token, reader, seen.next, seen.token)
        moved = rows_touched(await self._own(lambda raw: raw.execute(ADVANCE, *values)))
        if not moved and seen == Offset():
            moved = rows_touched(await self._own(lambda raw: raw.execute(FIRST_OFFSET, to.next, to.token, reader)))
        return moved == 1

    async def db(self) -> AsyncConnection:
        """The same transaction as SQLAlchemy sees it; the same object at each call."""
        await self._connection()
        assert self._handler is not None
        return self._handler

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _connection(self) -> asyncpg.Connection:
        self.check()
        if self._raw is None:
            await self._open()
        assert self._raw is not None
        return self._raw

    async def _open(self) -> None:
        """Begin; the server ends what a lost process leaves open."""
        async with self._opening:
            if self._raw is not None:
                return
            self._handler, raw = await self._pools.borrow(self)
            begin = (
                f"{self._pools.sessions.begin()}; SET LOCAL statement_timeout = {self._bound}; "
                f"SET LOCAL idle_in_transaction_session_timeout = {self._bound}"
            )
            self._raw, self.raw_used = raw, False
            self._timer = asyncio.get_running_loop().call_later(self._lease, self.expire, self._lease)
            self._pid = 0 if self._pools.sessions.pooled else raw.get_server_pid()
            await self._kit(lambda raw: raw.execute(begin))
            if not self._pid:  # the number that a pooler gives a connection names nothing at the server
                self._pid = await self._kit(lambda raw: raw.fetchval("SELECT pg_backend_pid()"))
            self._begun = True

    async def _kit(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """One of the kit's own statements; an error that is not the row's own fault becomes a `StoreError`."""
        raw = await self._connection()
        self._check_open(raw)
        try:
            return await work(raw)
        except Exception as error:
            self.check()
            if code_of(error) == _ABORTED:
                raise self._aborted() from self._first_failed
            if (spoilt := self.spoilt(error)) is not None:
                raise spoilt from error
            raise kit_error(self._pools.shown, error) from error

    async def _own(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """As `_kit`, under the kit's settings where the handler may have changed them (a tenant's schema, a role)."""
        if not self._begun or not (self.settings_changed or self.raw_used):
            return await self._kit(work)
        own = f"{_OWN_SETTINGS}; SET LOCAL statement_timeout = {self._bound}; {self._pools.sessions.in_transaction()}"

        async def apart(raw: asyncpg.Connection) -> T:
            theirs = await raw.fetchrow(_THEIR_SETTINGS)
            await raw.execute(own)
            done = await work(raw)
            await raw.execute(_GIVE_BACK, *theirs)
            return done

        return await self._kit(apart)

    def _check_open(self, raw: asyncpg.Connection) -> None:
        """`ClosedByHand`, or `EndedByHand` where the driver knows of no transaction any more."""
        if self._begun and raw.closed_here:
            raise ClosedByHand
        if self._begun and not raw.is_closed() and not raw.is_in_transaction():
            raise EndedByHand

    async def _check_whole(self) -> None:
        """`EndedByHand` where a handler that had the driver's connection has ended this one and begun another."""
        if self._begun and self.raw_used and await self._kit(lambda raw: raw.fetchval(_BOUND)) != self._bound:
            raise EndedByHand

    def _aborted(self) -> HocketError:
        if isinstance(self._doomed, HocketError):
            return self._doomed
        return HocketError(
            f"an earlier statement of this transaction failed ({self._first_failed}), and PostgreSQL then rolls it "
            "back whole: put a part that may fail into `async with db.begin_nested()`"
        )

    def spoilt(self, error: BaseException) -> Spoilt | None:
        """`MadeReadOnly`, since the kit's own first write was taken, or `ClosedByHand`."""
        if self._begun and self._raw is not None and self._raw.closed_here:
            return ClosedByHand()
        changed = self.settings_changed or self.raw_used
        return MadeReadOnly() if changed and code_of(error) == READ_ONLY else None

    def failed(self, error: BaseException) -> None:
        """Remember the first statement of the handler that failed."""
        self._first_failed = self._first_failed or error

    def _cut_off(self) -> None:
        """Close the connection, and end the transaction on the server too, where a long statement may still run."""
        if self._raw is not None and not self._raw.is_closed():
            self._raw.terminate()
            if self._pid:
                self._terminate(self._pid)

    async def end(self) -> None:
        """Commit, or roll back and raise what forbids it."""
        self.check()
        if self._doomed is not None:
            await self.abort()
            raise self._doomed
        if self._raw is None:
            self.end_with(COMMITTED)
            return
        await self._check_whole()
        self._check_open(self._raw)
        self.end_with(COMMITTED)
        try:
            if self.raw_used and not self.keeps_connection:  # nobody saw what was done there
                await self._raw.execute(self._pools.sessions.afresh_within())
            status = await self._raw.execute("COMMIT", timeout=self._pools.statement_seconds)
        except Exception as error:
            raise commit_error(self._pools.shown, error) from error
        await self._release(broken=False)
        if status != "COMMIT":
            raise self._aborted() from self._first_failed

    async def abort(self) -> None:
        """Roll back and give the connection back, also where the caller is cancelled meanwhile."""
        self.end_with(ROLLED_BACK)
        if self._handler is not None:
            await asyncio.shield(asyncio.ensure_future(self._roll_back()))

    async def _roll_back(self) -> None:
        broken = True
        if self._raw is not None and not self._raw.is_closed():
            with suppress(Exception):
                await self._raw.execute(self._pools.sessions.roll_back(), timeout=ROLLBACK_SECONDS)
                broken = False
            if broken:  # a statement of the handler still runs, on the server too
                self._cut_off()
        await self._release(broken=broken)

    async def _release(self, *, broken: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._handler is not None:
            handler, self._handler = self._handler, None
            await self._pools.give_back(handler, broken=broken or not await self._cleaned())

    async def _cleaned(self) -> bool:
        """Whether the connection keeps nothing of the handler's: what may have stayed on it is removed."""
        changed = self.connection_changed or self.raw_used
        if self._raw is None or not changed or not self.keeps_connection:
            return True
        with suppress(Exception):
            await self._raw.execute(self._pools.sessions.afresh(), timeout=ROLLBACK_SECONDS)
            return True
        return False
