"""`fake_tx`: a transaction for calling a handler as a plain function, with a private database."""

from contextlib import AsyncExitStack

from sqlalchemy import MetaData, Table

from hocket.clock import SystemClock
from hocket.envelope.keys import INBOX_KEY_BYTES
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import alone
from hocket.resilience.guard import BreakerGuard
from hocket.store.port import WriteTransaction
from hocket.store.sqlite.store import SqliteStore
from hocket.store.unit_of_work import UnitOfWork
from hocket.testing.play import D
from hocket.tx import AttemptInfo, Tx


class _OwnDatabase(AsyncExitStack):
    """A transaction in a database in memory that nobody else sees. No generator: a test may drop it with its loop."""

    def __init__(self, tables: MetaData | None) -> None:
        super().__init__()
        self._tables = tables

    async def __aenter__(self) -> WriteTransaction:  # type: ignore[override]  # the transaction, as its users see it
        store = SqliteStore(":memory:", clock=SystemClock(), boot="fake", inline=True)
        await store.open(self._tables)
        return await self.enter_async_context(store.transaction())


class _FakeTx(Tx[D]):
    """A transaction in which the tables of a projection stand under their own name."""

    def table(self, table: Table, /) -> Table:
        """The table itself."""
        return table


def fake_tx(*, uses: D = None, attempt: int = 1, tables: MetaData | None = None) -> Tx[D]:  # type: ignore[assignment]
    """A transaction for a direct call of a handler; `db()` is a private database with `tables` in it."""
    clock = SystemClock()
    about = AttemptInfo(
        b"\x00" * INBOX_KEY_BYTES, "flow", "subject", clock.now(), idempotency_key="key", step_key="step-key",
        attempt=attempt,
    )  # fmt: skip
    unit = UnitOfWork(None, begin=lambda: _OwnDatabase(tables))
    guard = BreakerGuard(alone(clock), clock)
    return _FakeTx(about, uses, unit, guard, BlockingCalls(0))
