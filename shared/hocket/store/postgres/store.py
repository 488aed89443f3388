"""The store on PostgreSQL: many processes on one database, each an owner by one lease (RULES 4.1).

A group commit is one statement in one round trip; a handler's transaction is SQLAlchemy over asyncpg, the kit's
statements of that transaction on the same connection. The kit and the handlers have a pool each.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import StoreError
from hocket.saga.ledger import Kept, LedgerRow
from hocket.setting_groups import TRANSACTION_SECONDS, PostgresSettings
from hocket.store.postgres import purge, sql, statements
from hocket.store.postgres import schema as postgres_schema
from hocket.store.postgres.breakers import PostgresBreakers
from hocket.store.postgres.clock import PostgresClock
from hocket.store.postgres.errors import READ_ONLY, code_of, kit_error, opening_error, sentence
from hocket.store.postgres.joined import JoinedTx, join
from hocket.store.postgres.ledger import runs as ledger
from hocket.store.postgres.ledger.runs import PostgresKitTx
from hocket.store.postgres.pools import DEFAULTS, Pools
from hocket.store.postgres.statements import rows_touched
from hocket.store.postgres.subjects.look import PostgresSubjects
from hocket.store.postgres.timers.due import PostgresTimers
from hocket.store.postgres.transaction import PostgresTx
from hocket.store.purge import START
from hocket.store.records import Admitted, Before, Ending, InboxRow, OutboxRow, Purged, Removed, Waiting, Written
from hocket.store.sql import REFUSE

T = TypeVar("T")

#: Rows that one statement takes over from an owner whose lease is over.
TAKE_OVER_ROWS = 5000
#: Waiting rows of one kind at which counting stops.
COUNTED_ROWS = 100_000
#: Another transaction holds a row, or has written one meanwhile that a run of the group was born for: one by one then.
_LOCKED = (asyncpg.LockNotAvailableError, asyncpg.DivisionByZeroError)


class PostgresStore:
    """A `hocket.store.port.Store` over one schema of a PostgreSQL database.

    `url` is `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; `boot` names this start of the process and owns the
    outbox rows for `owner_lease_seconds` of the `settings` after each `renew`.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        boot: str,
        schema: str = "",
        settings: PostgresSettings = DEFAULTS,
        transaction_seconds: float = TRANSACTION_SECONDS,
    ) -> None:
        self._pools = Pools(url, schema, settings)
        self._name = self._pools.shown
        self._clock = clock
        self._boot = boot
        self._owner_lease = settings.owner_lease_seconds
        self._transaction_seconds = transaction_seconds
        self.clock = PostgresClock(self._run)
        self.breakers = PostgresBreakers(clock, boot, self._run, self._lose_sight)
        self.subjects = PostgresSubjects(self._run)
        self.timers = PostgresTimers(boot, self._run, self._lose_sight)
        self._refusing: str | None = f"database {self._name} is not open yet"
        self._purge_cursor = START
        self._open: set[PostgresTx] = set()
        self._busy = 0
        self._idle = asyncio.Event()
        self._terminating: set[asyncio.Task[None]] = set()
        self._uncertain = False  # a commit may have stored rows that the caller never received

    @property
    def replicas(self) -> bool:
        """Whether several processes of one service may work on it at once."""
        return True

    async def open(self, tables: MetaData | None = None) -> None:
        """Make or migrate the kit's tables, make `tables` where absent, begin the lease of this process.

        Several replicas may open at once. `ConfigError` says what forbids it; `StoreError` that the server is away, and
        then it may be opened again.
        """
        try:
            await self._pools.sessions.check_pooling()
            await postgres_schema.create(self._pools, tables)
            await self._pools.open()
            self._refusing = None
            await self._raw(lambda kit: kit.execute(sql.BEGIN_LEASE, self._boot, self._owner_lease))
        except Exception as error:
            self._refusing = f"database {self._name} did not open"
            await self._pools.close()
            raise opening_error(self._name, error) from error
        except BaseException:
            self._refusing = f"database {self._name} did not open"
            await self._pools.cut()
            raise

    async def close(self) -> None:
        """Finish what is in progress, end the lease, so that others take over at once, and close."""
        if self._refusing is not None:
            return
        self._refusing = f"database {self._name} is closed: this process is stopping"
        while self._busy or self._open:
            self._idle.clear()
            await self._idle.wait()
        await asyncio.gather(*self._terminating, return_exceptions=True)
        with suppress(Exception):
            async with self._pools.kit() as kit:
                await kit.execute(sql.END_LEASE, self._boot)
        await self._pools.close()

    async def abandon(self) -> None:
        """Stop as a killed process would: sockets are closed, the server rolls back; the lease runs on."""
        self._refusing = f"database {self._name} was abandoned"
        for tx in list(self._open):
            tx.fence(StoreError, self._refusing)
        await self._pools.cut()
        await asyncio.gather(*self._terminating, return_exceptions=True)

    # -- how every statement runs ----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._refusing is not None:
            raise StoreError(self._refusing)

    async def _raw(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run on a connection of the kit's pool; what asyncpg raises comes through."""
        self._check()
        self._busy += 1
        try:
            async with self._pools.kit() as kit:
                return await work(kit)
        finally:
            self._busy -= 1
            self._idle.set()

    async def _run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """The same; an error that is not the row's own fault becomes a `StoreError`."""
        try:
            return await self._raw(work)
        except Exception as error:
            raise await self._known(error) from error

    async def _known(self, error: Exception) -> Exception:
        """What a failed statement of the kit raises; a server that takes no writes any more is left."""
        if code_of(error) == READ_ONLY:
            await self._pools.forsake()
        return kit_error(self._name, error)

    def _lose_sight(self) -> None:
        """A statement of unknown outcome may have stored rows that nobody has in memory."""
        self._uncertain = True

    def _terminate(self, pid: int) -> None:
        """End a transaction on the server that its process no longer waits for."""

        async def end() -> None:
            with suppress(Exception):
                async with self._pools.kit() as kit:
                    await kit.execute("SELECT pg_terminate_backend($1)", pid)

        if self._refusing is None:
            task = asyncio.get_running_loop().create_task(end())
            self._terminating.add(task)
            task.add_done_callback(self._terminating.discard)

    # -- transactions ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self, lease: float | None = None) -> AsyncIterator[PostgresTx]:
        """A write transaction, at most `lease` seconds from its first statement; then `LeaseExpired`.

        Without `lease` as many as the store was made with.
        """
        self._check()
        lease = self._transaction_seconds if lease is None else lease
        tx = PostgresTx(self._pools, self._boot, self._clock, lease, self._terminate)
        self._open.add(tx)
        ending = False
        try:
            yield tx
            ending = True
            await tx.end()
        except BaseException as error:
            self._uncertain = self._uncertain or ending
            await tx.abort()
            if tx.expired and isinstance(error, Exception):
                tx.check()  # raises LeaseExpired in place of what the body raised
            raise
        finally:
            self._open.discard(tx)
            self._idle.set()

    @asynccontextmanager
    async def kit_transaction(self) -> AsyncIterator[PostgresKitTx]:
        """A write transaction on a connection of the kit's pool; its locks are bounded as those of a group are."""
        self._check()
        self._busy += 1
        ending = False
        try:
            async with self._pools.kit() as kit, kit.transaction():
                yield PostgresKitTx(kit, self._boot, self._clock)
                ending = True
        except BaseException as error:
            self._uncertain = self._uncertain or ending
            if isinstance(error, Exception):
                raise kit_error(self._name, error) from error
            raise
        finally:
            self._busy -= 1
            self._idle.set()

    async def join(self, connection: AsyncConnection) -> JoinedTx:
        """Join the transaction of an application over the same schema; `HocketError` where it is another."""
        self._check()
        return await join(connection, self._name, self._boot, self._clock)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Committed data, each statement by itself; writing raises."""
        self._check()
        yield self._pools.reading()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Committed data as it is at the first statement, for all statements alike; writing raises."""
        self._check()
        async with self._pools.snapshot() as connection:
            yield connection

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in one statement, one round trip, one sync of the disk.

        Where another transaction holds one of their rows they are committed one by one, and the answer of the one that
        waits is `blocked`. Values that PostgreSQL refuses raise what it says of them, and nothing is written of them.
        """
        try:
            return self.breakers.heard(await self._commit(endings))
        except _LOCKED as error:
            if len(endings) == 1 and not endings[0].inbox and not endings[0].ledger:
                raise StoreError(sentence(self._name, error)) from error
            if len(endings) == 1:
                return [Written(False, blocked=True)]
        answers: list[Written] = []
        try:
            for ending in endings:
                answers += await self.commit([ending])
        except BaseException:
            self._uncertain = True
            raise
        return answers

    async def _commit(self, endings: Sequence[Ending]) -> list[Written]:
        now = self._clock.now().timestamp()
        write = statements.write_in_one if statements.fits_one_statement(endings) else statements.write_apart
        try:
            return await self._raw(lambda kit: write(kit, endings, self._boot, now))
        except _LOCKED:
            raise
        except asyncio.CancelledError:
            self._uncertain = True
            raise
        except Exception as error:
            known = await self._known(error)
            self._uncertain = self._uncertain or isinstance(known, StoreError)
            raise known from error

    # -- owners ----------------------------------------------------------------------------------------------------

    async def renew(self) -> bool:
        """Extend the lease by the database's clock; False where it was over, and begins anew."""
        held, news = await self._run(lambda kit: kit.fetchrow(sql.RENEW, self._boot, self._owner_lease))
        self.breakers.told(news)
        return bool(held)

    async def take_over(self) -> int:
        """Own the due rows of owners without a lease, in bounded steps; how many rows may be news to the caller."""
        uncertain, self._uncertain = self._uncertain, False
        taken = int(uncertain)
        try:
            while True:
                step = rows_touched(await self._run(lambda kit: kit.execute(sql.TAKE_OVER, self._boot, TAKE_OVER_ROWS)))
                taken += step
                if step < TAKE_OVER_ROWS:
                    break
            await self._run(lambda kit: kit.execute(sql.TIDY))
        except BaseException:
            self._uncertain = self._uncertain or taken > 0
            raise
        return taken

    # -- inbox and outbox ------------------------------------------------------------------------------------------

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that exist of these keys, committed state."""
        return statements.inbox(await self._run(lambda kit: kit.fetch(sql.LOOK, list(keys))))

    async def admit(self, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        """Look inbox and ledger up, and begin what is in neither, in one statement."""
        return await self._run(lambda kit: ledger.admit(kit, keys, begins, runs, self._boot))

    async def kept(self, runs: Sequence[str]) -> Mapping[str, Kept]:
        """What is kept of these runs for an undo."""
        return await self._run(lambda kit: ledger.kept(kit, runs))

    async def due(self, after: int | None, limit: int) -> list[OutboxRow]:
        """Own due rows with id > `after`, and those claimed just now, oldest id first; at most `limit` of each kind.

        Where own rows are left over, only rows below the last one returned are claimed, so that whoever goes on behind
        the highest id passes nobody by.
        """
        try:
            return await self._run(lambda kit: statements.due(kit, self._boot, after, limit))
        except BaseException:
            self._uncertain = True  # it may have claimed them
            raise

    async def next_due(self) -> float | None:
        """Seconds until the next row without an owner is due; negative: it is overdue."""
        return await self._run(lambda kit: kit.fetchval(sql.NEXT_DUE))

    async def forget(self, ids: Sequence[int]) -> None:
        """Delete confirmed rows."""
        if ids:
            await self._run(lambda kit: kit.execute(sql.FORGET, list(ids)))

    async def refuse(self, id: int, reason: str) -> None:
        """Set a row aside that the broker refuses by its nature."""
        await self._run(lambda kit: kit.execute(REFUSE, reason, id))

    async def purge(self, before: Before, limit: int) -> Purged:
        """One step of a purge: two looks, and a statement a table where something may go."""
        found = await self._run(lambda kit: purge.look(kit, self._purge_cursor, before, limit))
        removed = await self._run(lambda kit: purge.remove(kit, found, before)) if found.some else Removed()
        self._purge_cursor = found.next
        return Purged(removed.rows, found.next == START, removed.renamed, removed.taken)

    async def waiting(self) -> Waiting:
        """Counts for readiness, metrics and the bound of RULES 4.6, of all replicas; each stops at `COUNTED_ROWS`."""
        return Waiting(*await self._run(lambda kit: kit.fetchrow(sql.WAITING, COUNTED_ROWS)))
