"""Step runs on PostgreSQL: what an admission asks and begins, and a transaction in which one run is decided alone."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from hocket.clock import Clock
from hocket.errors import RowLocked
from hocket.saga.ledger import Kept, LedgerRow
from hocket.store import row_codec as rows_of
from hocket.store.postgres import statements
from hocket.store.postgres.ledger import sql as ledger_sql
from hocket.store.records import Admitted, Ending, InboxRow, Written

_INBOX, _RUN = ledger_sql.ADMITTED_INBOX, ledger_sql.ADMITTED_RUN


def rows(found: Iterable[Sequence[object]]) -> dict[str, LedgerRow]:
    """Ledger rows by their run, without an owner where its lease is over."""
    known: dict[str, LedgerRow] = {}
    for values in found:
        row = rows_of.ledger_row(tuple(values)[:-1])
        known[row.run] = row if values[-1] else row._replace(owner="", boot="")
    return known


def names(runs: Iterable[str]) -> list[bytes]:
    """The runs as the ledger has them."""
    return [bytes.fromhex(run) for run in runs]


async def admit(
    kit: asyncpg.Connection, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str], boot: str
) -> Admitted:
    """Look up and begin in one statement; what another has begun meanwhile, which it cannot see, is looked up after."""
    asked = names([*(row.run for row in begins), *runs])
    begun = [(row.correlation_id, row.step, row.scope, row.owner, row.inbox_key) for row in begins]
    columns = [list(column) for column in zip(*begun, strict=True)] or [[], [], [], [], []]
    inbox: dict[bytes, InboxRow] = {}
    there: list[Sequence[object]] = []
    fresh: set[str] = set()
    for values in await kit.fetch(
        ledger_sql.ADMIT, list(keys), asked, boot, names(row.run for row in begins), *columns
    ):
        if values[0] is not None:
            fresh = {run.hex() for run in values[0]}
        elif values[1] is not None:
            inbox[values[1]] = rows_of.inbox_row(tuple(values)[_INBOX])
        else:
            there.append(tuple(values)[_RUN])
    ledger = rows(there)
    unseen = [
        row.run for row in begins if row.run not in fresh and row.run not in ledger and row.inbox_key not in inbox
    ]
    if unseen:
        ledger.update(rows(await kit.fetch(ledger_sql.RUNS, names(unseen), boot)))
    return Admitted(inbox, ledger, fresh)


async def kept(kit: asyncpg.Connection, runs: Sequence[str]) -> Mapping[str, Kept]:
    """What is kept of these runs."""
    found = await kit.fetch(ledger_sql.KEPT, names(runs))
    return {values[0].hex(): rows_of.kept(tuple(values)[1:]) for values in found}


class PostgresKitTx:
    """A `hocket.store.port.KitTransaction` in the transaction that is open on `kit`."""

    def __init__(self, kit: asyncpg.Connection, boot: str, clock: Clock) -> None:
        self._kit = kit
        self._boot = boot
        self._clock = clock

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The rows that exist of these runs, locked."""
        try:
            return rows(await self._kit.fetch(ledger_sql.LOCK, names(runs), self._boot))
        except asyncpg.LockNotAvailableError as error:
            raise RowLocked("another transaction holds a step run") from error

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        return await statements.write(self._kit, endings, self._boot, self._clock.now().timestamp())
