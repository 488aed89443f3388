"""One open write transaction of PostgreSQL, and the lease it is held under."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import NoReturn, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError, LeaseExpired, StoreError
from hocket.saga.ledger import LedgerRow
from hocket.store.postgres import sql, statements
from hocket.store.postgres.errors import code_of, kit_error, sentence
from hocket.store.postgres.pools import ENDS_BY_ITSELF, HandlerConnection, Pools
from hocket.store.records import Ending, Offset, Written

T = TypeVar("T")

#: Seconds by which the server's own bound of a transaction lies behind the lease.
SERVER_LATER = 1.0
#: Seconds that a rollback has; after them the connection is cut.
ROLLBACK_SECONDS = 5.0
#: SQLSTATE of each statement after one that failed.
_ABORTED = "25P02"


def locks(runs: Iterable[str]) -> str:
    """Locks on step runs until the end of the transaction, rows that do not exist included, in one order for all."""
    keys = sorted({int.from_bytes(blake2b(run.encode(), digest_size=8).digest(), signed=True) for run in runs})
    return "".join(f"; SELECT pg_advisory_xact_lock({key})" for key in keys)


class PostgresTx:
    """A `hocket.store.port.Tx`. It begins with its first statement; `end` commits, `abort` rolls back."""

    def __init__(self, links: Pools, boot: str, clock: Clock, lease: float, cut: Callable[[int], None]) -> None:
        self._links = links
        self._boot = boot
        self._clock = clock
        self._lease = lease
        self._cut = cut
        self._lent: HandlerConnection | None = None
        self._raw: asyncpg.Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fence: tuple[type[StoreError], str] | None = None
        self._doomed: Exception | None = None
        self._first_failed: BaseException | None = None
        self._opening = asyncio.Lock()

    # -- the port --------------------------------------------------------------------------------------------------

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order. After an error the transaction can only roll back."""
        now = self._clock.now().timestamp()
        road = statements.write if statements.together(endings) else statements.apart
        try:
            return await self._kit(lambda raw: road(raw, endings, self._boot, now))
        except Exception as error:
            self._doomed = self._doomed or error
            raise

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs, locked, those that do not exist too; ended leases have no owner."""
        self.check()
        if not runs:
            return {}
        if self._raw is None:
            await self._open(locks(runs))
        else:
            await self._kit(lambda raw: raw.execute(locks(runs).removeprefix("; ")))
        return statements.ledger(await self._kit(lambda raw: raw.fetch(sql.RUNS, list(runs), self._boot)))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        now = self._clock.now().timestamp()
        return count(await self._kit(lambda raw: raw.execute(sql.CANCEL, schedule, now))) > 0

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        found = await self._kit(lambda raw: raw.fetchrow(sql.OFFSET, reader))
        return Offset(*found) if found else Offset()

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset."""
        values = (reader, to.next, to.token, seen.next, seen.token)
        moved = count(await self._kit(lambda raw: raw.execute(sql.ADVANCE, *values)))
        if not moved and seen == Offset():
            moved = count(await self._kit(lambda raw: raw.execute(sql.FIRST_OFFSET, reader, to.next, to.token)))
        return moved == 1

    async def db(self) -> AsyncConnection:
        """The same transaction as SQLAlchemy sees it; the same object at each call."""
        await self._connection()
        assert self._lent is not None
        return self._lent

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _connection(self) -> asyncpg.Connection:
        self.check()
        if self._raw is None:
            await self._open("")
        assert self._raw is not None
        return self._raw

    async def _open(self, more: str) -> None:
        """Begin, in one round trip with `more`; the server ends by itself what a lost process leaves open."""
        async with self._opening:
            if self._raw is not None:
                return
            lent, raw = await self._links.lend(self)
            self._lent = lent
            bound = int((self._lease + SERVER_LATER) * 1000)
            begin = (
                f"BEGIN; SET LOCAL statement_timeout = {bound}; SET LOCAL idle_in_transaction_session_timeout = {bound}"
            )
            self._raw = raw
            self._timer = asyncio.get_running_loop().call_later(self._lease, self._expire)
            await self._kit(lambda raw: raw.execute(begin + more))

    async def _kit(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """One of the kit's own statements; an error that is not the row's own fault becomes a `StoreError`."""
        raw = await self._connection()
        try:
            return await work(raw)
        except Exception as error:
            self.check()
            if code_of(error) == _ABORTED:
                raise self._aborted() from self._first_failed
            raise kit_error(self._links.shown, error) from error

    def _aborted(self) -> HocketError:
        if isinstance(self._doomed, HocketError):
            return self._doomed
        return HocketError(
            f"an earlier statement of this transaction failed ({self._first_failed}), and PostgreSQL then rolls it "
            "back whole: put a part that may fail into `async with db.begin_nested()`"
        )

    def check(self) -> None:
        """Raise where the transaction is over."""
        if self._fence is not None:
            kind, text = self._fence
            raise kind(text)

    def refuse(self) -> NoReturn:
        """Raise, and have the transaction rolled back even where the borrower goes on."""
        error = HocketError(ENDS_BY_ITSELF)
        self._doomed = self._doomed or error
        raise error

    def failed(self, error: BaseException) -> None:
        """Remember the first statement of the handler that failed."""
        self._first_failed = self._first_failed or error

    def _expire(self) -> None:
        self.fence(
            LeaseExpired,
            f"the transaction held the write lease longer than {self._lease:g} s and was rolled back: "
            "call the outside before the first `await tx.db()`, and write less at once",
        )

    def fence(self, kind: type[StoreError], text: str) -> None:
        """Cut it off now, also on the server; each further call and `end` raise `kind`."""
        if self._fence is None:
            self._fence = (kind, text)
            if self._raw is not None and not self._raw.is_closed():
                pid = self._raw.get_server_pid()
                self._raw.terminate()
                self._cut(pid)

    @property
    def expired(self) -> bool:
        """Whether the lease ran out."""
        return self._fence is not None and self._fence[0] is LeaseExpired

    async def end(self) -> None:
        """Commit, or roll back and raise what forbids it."""
        self.check()
        if self._doomed is not None:
            await self.abort()
            raise self._doomed
        raw, self._fence = self._raw, (StoreError, "this transaction has ended: its Tx and connection are not usable")
        if raw is None:
            return
        try:
            said = await raw.execute("COMMIT", timeout=self._links.statement_seconds)
        except Exception as error:
            raise StoreError(sentence(self._links.shown, error)) from error
        await self._leave(broken=False)
        if said != "COMMIT":
            raise self._aborted() from self._first_failed

    async def abort(self) -> None:
        """Roll back and give the connection back, also where the caller is cancelled meanwhile."""
        if self._fence is None:
            self._fence = (StoreError, "this transaction was rolled back: its Tx and its connection are not usable")
        if self._lent is not None:
            await asyncio.shield(asyncio.ensure_future(self._roll_back()))

    async def _roll_back(self) -> None:
        broken = True
        if self._raw is not None and not self._raw.is_closed():
            with suppress(Exception):
                await self._raw.execute("ROLLBACK", timeout=ROLLBACK_SECONDS)
                broken = False
        await self._leave(broken=broken)

    async def _leave(self, *, broken: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._lent is not None:
            lent, self._lent = self._lent, None
            await self._links.take_back(lent, broken=broken)


def count(said: str) -> int:
    """How many rows a statement touched, from what PostgreSQL says of it."""
    return int(said.rsplit(" ", 1)[-1])
