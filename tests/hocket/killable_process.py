"""Kills one process of a service in these tests, as SIGKILL kills a real one."""

from hocket.broker.memory import MemoryBroker
from hocket.store.sqlite.store import SqliteStore
from hocket.worker import Worker


async def kill_process(worker: Worker, broker: MemoryBroker) -> None:
    """Take the connection, the database and the tasks away at once: nothing is settled, committed or closed in order.

    The broker returns the unsettled deliveries to their queues; the file keeps what was committed.
    """
    broker.cut(worker.service.name, heal=False)
    assert isinstance(worker.runtime.store, SqliteStore)
    await worker.runtime.store.abandon()
    await worker.kill()
    await worker.runtime.transport.close()
