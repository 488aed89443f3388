"""DBOS on PostgreSQL: a durable workflow of three steps, each of which hands the order on; no broker, no undo."""

import asyncio
import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.event import order
from tests.bench.measured_process import Task, Watch, pipelined, result, told

dbos: Any = importlib.import_module("dbos")

Order = dict[str, object]
#: Workflows before the watch starts.
WARM = 20


async def workflows(task: Task) -> None:
    """`count` workflows, `window` at once on as many connections, from the first begin to the last stored result."""
    dbos.DBOS(
        config={
            "name": "bench",
            "system_database_url": task.database,
            "sys_db_pool_size": task.window,
            "executor_id": task.source,
            "log_level": "WARNING",
        }
    )

    @dbos.DBOS.step()  # type: ignore[untyped-decorator]
    async def pack(order: Order) -> Order:
        return order

    @dbos.DBOS.step()  # type: ignore[untyped-decorator]
    async def send(order: Order) -> Order:
        return order

    @dbos.DBOS.step()  # type: ignore[untyped-decorator]
    async def deliver(order: Order) -> Order:
        return order

    @dbos.DBOS.workflow()  # type: ignore[untyped-decorator]
    async def ship(order: Order) -> Order:
        packed: Order = await pack(order)
        sent: Order = await send(packed)
        delivered: Order = await deliver(sent)
        return delivered

    await asyncio.to_thread(dbos.DBOS.launch)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(task.window))
    body = order(1).model_dump(mode="json")
    await pipelined(WARM, task.window, lambda: ship(body))
    await told()
    watch = Watch()
    watch.start()
    await pipelined(task.count, task.window, lambda: ship(body))
    watch.stop()
    result(task.count, watch)
    os._exit(0)  # its threads are still asking the database
