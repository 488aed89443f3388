"""Calling what is due: in bounded steps, however much is due at once, and what was armed under a former name."""

from datetime import timedelta

import pytest

from hocket import Service, Tx
from hocket.clock import SystemClock
from hocket.outbox.backlog import Backlog
from hocket.outbox.timers import CALL_ROWS, TimerCaller
from hocket.store.records import OutboxRow
from hocket.store.sqlite.store import SqliteStore
from hocket.store.timers import TIMER_COLUMNS
from tests.hocket.delivery.overdue.shop import Paid, Placed
from tests.hocket.sample_runtime import runtime_of

MANY = 10_000
#: So many time-outs that were due long ago.
DUE = f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO hocket_timers ({TIMER_COLUMNS})
SELECT CAST(printf('%020d', i) AS BLOB), 'flow', 'shop.QUEUE', 'order', 'armed', 1, i, 1.0, x'00', x'7b7d', x'', 1, 0.0
FROM n"""  # noqa: S608 -- the test's own names


def service() -> Service[None]:
    """A service whose time-out had another name once."""
    made = Service("shop", owner="tests")

    @made.overdue(timedelta(hours=1), unless=Paid, formerly="old")
    async def unpaid(order: Placed, tx: Tx) -> None: ...

    return made


@pytest.mark.parametrize("queue", ["unpaid", "old"])
async def test_ten_thousand_due_at_once_are_called_in_bounded_steps(queue: str) -> None:
    """RULES 5.7: each step calls so many, the earliest first, each once; what memory has no room for stays stored."""
    clock = SystemClock()
    store = SqliteStore(":memory:", clock=clock, boot="b", inline=True)
    await store.open()
    async with store.transaction() as tx:
        await (await tx.db()).exec_driver_sql(DUE.replace("QUEUE", queue))
    runtime = runtime_of("shop", store, clock)
    backlog = Backlog(runtime)
    caller = TimerCaller(runtime, backlog, service().declarations.subscriptions)
    steps: list[list[OutboxRow]] = []
    call = store.timers.call_due

    async def counted(subscriptions: list[str], limit: int) -> list[OutboxRow]:
        steps.append(await call(subscriptions, limit))
        return steps[-1]

    store.timers.call_due = counted  # type: ignore[method-assign,assignment]  # the same, and it is counted
    await caller.begin()
    while await caller.call() is not None:
        assert len(backlog.ready) <= runtime.config.outbox_memory_rows
    assert max(len(step) for step in steps) == CALL_ROWS
    dues = [row.message.timestamp for step in steps for row in step]
    assert dues == sorted(dues)
    assert len(dues) == MANY
    await store.close()
