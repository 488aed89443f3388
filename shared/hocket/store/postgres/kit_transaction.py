"""One write transaction of the kit's own on PostgreSQL: a group's, on a connection of the kit's pool (RULES 3.3)."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import asyncpg

from hocket.clock import Clock
from hocket.saga.ledger import LedgerRow
from hocket.store.postgres import sql, statements
from hocket.store.records import Ending, Written

#: Locks what nobody holds, and waits for nothing: a handler may hold its run as long as its transaction.
_TRY = "SELECT run FROM unnest($1::text[], $2::bigint[]) AS asked(run, key) WHERE pg_try_advisory_xact_lock(key)"


def lock_key(run: str) -> int:
    """The key of the advisory lock that stands for a step run, also where there is no row."""
    return int.from_bytes(blake2b(run.encode(), digest_size=8).digest(), signed=True)


def locks(runs: Iterable[str]) -> str:
    """SQL that locks step runs until the end of the transaction, also where there is no row; in one order for all."""
    return "".join(f"; SELECT pg_advisory_xact_lock({key})" for key in sorted({lock_key(run) for run in runs}))


class PostgresKitTx:
    """A `hocket.store.port.KitTransaction` in the transaction that is open on `kit`."""

    def __init__(self, kit: asyncpg.Connection, boot: str, clock: Clock) -> None:
        self._kit = kit
        self._boot = boot
        self._clock = clock

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow | None]:
        """The rows of the runs that no other transaction holds, locked; None where there is no row."""
        if not runs:
            return {}
        free = [row["run"] for row in await self._kit.fetch(_TRY, list(runs), [lock_key(run) for run in runs])]
        known = statements.ledger(await self._kit.fetch(sql.RUNS, free, self._boot))
        return {run: known.get(run) for run in free}

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        return await statements.write(self._kit, endings, self._boot, self._clock.now().timestamp())
