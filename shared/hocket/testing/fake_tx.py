"""`fake_tx`: a transaction for calling a handler as a plain function, with a private database."""

from contextlib import AsyncExitStack

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import SystemClock
from hocket.envelope.keys import INBOX_KEY_BYTES
from hocket.resilience.circuit import Circuit
from hocket.resilience.guard import BreakerGuard
from hocket.store.port import Tx as StoreTx
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.play import D
from hocket.tx import AttemptInfo, Tx


class _PrivateDatabase:
    """One transaction on an SQLite in memory, opened when it is first needed."""

    def __init__(self, tables: MetaData | None) -> None:
        self._tables = tables
        self._stack = AsyncExitStack()
        self._tx: StoreTx | None = None

    async def open(self) -> AsyncConnection:
        return await (await self._begun()).db()

    async def read(self) -> AsyncConnection:
        return await self.open()

    async def cancel(self, schedule: str) -> bool:
        return await (await self._begun()).cancel(schedule)

    async def _begun(self) -> StoreTx:
        if self._tx is None:
            store = SqliteStore(":memory:", clock=SystemClock(), boot="fake", inline=True)
            await store.open(self._tables)
            self._tx = await self._stack.enter_async_context(store.transaction())
        return self._tx


def fake_tx(*, uses: D = None, attempt: int = 1, tables: MetaData | None = None) -> Tx[D]:  # type: ignore[assignment]
    """A transaction for a direct call of a handler; `db()` is a private database with `tables` in it."""
    clock = SystemClock()
    about = AttemptInfo(
        b"\x00" * INBOX_KEY_BYTES, "flow", "subject", clock.now(), idempotency_key="key", step_key="step-key",
        attempt=attempt,
    )  # fmt: skip
    circuits: dict[str, Circuit] = {}
    return Tx(about, uses, _PrivateDatabase(tables), BreakerGuard(circuits, clock, b"", lambda name, state: None))
