"""What is measured on: the private broker and database, its queues, and what they cost."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import aio_pika

from deploy.broker.node import RabbitNode
from deploy.database.server import PostgresServer
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import kit, of_service
from hocket.clock import SystemClock
from hocket.store.sqlite.store import SqliteStore
from tests.bench.event import ROUTING_KEY

_TICK = os.sysconf("SC_CLK_TCK")
#: What peers append to the name of a queue.
ENDS = ("", ".DQ", ".XQ", ".dead", ".delay")
#: Messages in one publish of a preload, and publishes at once.
PRELOAD_BATCH = 256
PRELOADERS = 4


def _stats() -> Iterator[tuple[int, list[str]]]:
    """(process, the fields of its stat after the name: state, parent, group, …)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            yield int(stat.parent.name), stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue


def group_cpu(leader: int) -> float:
    """CPU seconds that a process group has used: the node's own process is a child of what was started."""
    return sum(int(one[11]) + int(one[12]) for _, one in _stats() if int(one[2]) == leader) / _TICK


def family_cpu(parent: int) -> float:
    """CPU seconds of a process and of its children, those included that it has seen end."""
    total = 0
    for process, one in _stats():
        if process == parent:
            total += sum(int(each) for each in one[11:15])
        elif int(one[1]) == parent:
            total += int(one[11]) + int(one[12])
    return total / _TICK


class Ground:
    """The private node, emptied before each run."""

    def __init__(self, node: RabbitNode) -> None:
        self._node = node

    def fresh(self) -> str:
        """Remove every queue that a run has made; the node's address."""
        asyncio.run(_removed(self._node.url()))
        return self._node.url()

    def broker_cpu(self) -> float:
        """CPU seconds of the broker so far."""
        return group_cpu(self._node.pid)


#: Queues that the runs make, by hocket and by peers.
STAGES = tuple(f"{stage}.{queue}" for stage in ("first", "second", "third") for queue in ("handle", "unhandle"))
SAGA_QUEUES = ("billing.charge", "billing.note", "quota.call", "desk.unpaid")
PEERS_QUEUES = ("peer.q", *(f"{peer}.q{end}" for peer in ("celery", "dramatiq", "taskiq") for end in ENDS))
KIT_QUEUES = tuple(queue.name for queue in kit().queues)


async def _removed(amqp: str) -> None:
    async with await aio_pika.connect(amqp) as connection:
        channel = await connection.channel()
        views = ("bench.view", *(f"bench.view@{n}{end}" for n in (1, 2) for end in ("", ".history")))
        handlers = (*views, "bench.unstep", *(f"bench.{handler}" for handler, _ in consumer(64)[0][1]))
        for queue in (*KIT_QUEUES, *STAGES, *SAGA_QUEUES, *PEERS_QUEUES, *handlers):
            await channel.queue_delete(queue)


async def declare(amqp: str, services: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """The topology of docs/wire.md#broker-objects with these services: (name, [(handler, routing key)])."""
    transport = RabbitTransport(amqp, "bench")
    await transport.open()
    try:
        await transport.until_ready()
        topology = kit()
        for name, handlers in services:
            topology += of_service(name, [(f"{name}.{handler}", [key] if key else []) for handler, key in handlers])
        await transport.declare(topology)
    finally:
        await transport.close()


def consumer(handlers: int = 1) -> list[tuple[str, list[tuple[str, str]]]]:
    """The service `bench` with so many handlers of the event."""
    return [("bench", [("handle" if n == 0 else f"handle_{n}", ROUTING_KEY) for n in range(handlers)])]


async def preload(amqp: str, queue: str, bodies: Iterable[bytes], content_type: str) -> None:
    """Fill a queue through its service's own exchange."""
    transport = RabbitTransport(amqp, "bench")
    await transport.open()
    try:
        await transport.until_ready()
        messages = (Message(queue.partition(".")[0], queue, body, content_type) for body in bodies)

        async def fill() -> None:
            while batch := list(islice(messages, PRELOAD_BATCH)):
                await transport.publish(batch)

        await asyncio.gather(*(fill() for _ in range(PRELOADERS)))
    finally:
        await transport.close()


async def quorum(amqp: str, queues: Sequence[str]) -> None:
    """Bare quorum queues, for peers."""
    async with await aio_pika.connect(amqp) as connection:
        channel = await connection.channel()
        for queue in queues:
            await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})


async def copies(amqp: str, queue: str, count: int) -> None:
    """Turn the one message of a queue into `count` of the same."""
    async with await aio_pika.connect(amqp) as connection:
        channel = await connection.channel()
        got = await (await channel.get_queue(queue, ensure=False)).get(timeout=10)
        assert got is not None
        await got.ack()
        message = aio_pika.Message(
            got.body,
            headers=got.headers,
            content_type=got.content_type,
            content_encoding=got.content_encoding,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            correlation_id=got.correlation_id,
            reply_to=got.reply_to,
            message_id=got.message_id,
            priority=got.priority,
        )
        for start in range(0, count, PRELOAD_BATCH):
            many = min(PRELOAD_BATCH, count - start)
            await asyncio.gather(*(channel.default_exchange.publish(message, queue) for _ in range(many)))


class Databases:
    """A fresh database for each run, and files that were filled once."""

    def __init__(self, folder: Path, postgres: PostgresServer | None) -> None:
        self._folder = folder
        self._server = postgres
        self._number = 0

    @property
    def postgres(self) -> bool:
        """Whether there is a PostgreSQL server."""
        return self._server is not None

    def cpu(self) -> float:
        """CPU seconds of the PostgreSQL server so far; 0 where there is none."""
        return family_cpu(self._server.pid) if self._server is not None else 0.0

    def fresh(self, store: str) -> str:
        """The address of an empty database."""
        self._number += 1
        if store == "postgres":
            assert self._server is not None
            return self._server.add_database(f"bench_{self._number}")
        self._forget_files(keep=4)
        folder = self._folder / f"run-{self._number}"
        folder.mkdir(parents=True)
        return f"sqlite:///{folder}/{{service}}.db"

    def _forget_files(self, keep: int) -> None:
        for folder in self._folder.glob("run-*"):
            if int(folder.name.partition("-")[2]) <= self._number - keep:
                shutil.rmtree(folder)

    def with_inbox(self, service: str, rows: int) -> str:
        """A file whose inbox holds so many rows of the last month, filled at the first call."""
        folder = self._filled(service, f"inbox-{rows}")
        with sqlite3.connect(folder / f"{service}.db") as file:
            found = file.execute("SELECT count(*) FROM hocket_inbox").fetchone()[0] if rows else 0
            if found < rows:
                file.executemany(_INBOX, _inbox_rows(rows))
        return f"sqlite:///{folder}/{{service}}.db"

    def with_outbox(self, service: str, rows: int) -> str:
        """A file whose outbox holds so many rows that are due in a year, filled at the first call."""
        folder = self._filled(service, f"outbox-{rows}")
        with sqlite3.connect(folder / f"{service}.db") as file:
            found = file.execute("SELECT count(*) FROM hocket_outbox").fetchone()[0] if rows else 0
            if found < rows:
                file.executemany(_OUTBOX, _outbox_rows(rows))
        return f"sqlite:///{folder}/{{service}}.db"

    def _filled(self, service: str, name: str) -> Path:
        folder = self._folder / name
        if not folder.exists():
            folder.mkdir(parents=True)
            asyncio.run(_made(folder / f"{service}.db"))
        return folder


_INBOX = """INSERT INTO hocket_inbox (key, subscription, event_id, state, attempt, base, version, data_hash, revision,
correlation_id, said, death_id, spoke, history, updated)
VALUES (?, 'bench.handle', ?, 'handled', 1, 0, 1, ?, 0, ?, '[]', '', 0, '[]', ?)"""
_OUTBOX = """INSERT INTO hocket_outbox (kind, due, owner, event_id, subject, inbox_key, schedule, exchange, routing_key,
body, content_type, headers, type, correlation_id, app_id, timestamp)
VALUES ('scheduled', ?, NULL, ?, 'order/1', ?, ?, 'hocket.events', 'order.placed.v1', ?, 'application/json', '{}',
'order.placed', '', 'orders', 0)"""
#: Seconds over which the filled rows are spread.
MONTH, YEAR = 30 * 86400, 365 * 86400


async def _made(path: Path) -> None:
    store = SqliteStore(str(path), clock=SystemClock(), boot="bench")
    await store.open()
    await store.close()


def _inbox_rows(count: int) -> Iterator[tuple[bytes, str, bytes, str, float]]:
    chance, now = random.Random(3), SystemClock().now().timestamp()
    for number in range(count):
        at = now - MONTH + MONTH * number / count
        lead = (int(at * 1000) >> 16).to_bytes(4, "big")
        id = f"{chance.getrandbits(128):032x}"
        yield lead + chance.randbytes(16), id, chance.randbytes(16), id, at


def _outbox_rows(count: int) -> Iterator[tuple[float, str, bytes, str, bytes]]:
    chance, now = random.Random(4), SystemClock().now().timestamp()
    for number in range(count):
        key = f"order.placed {number}"
        yield now + YEAR + number, f"{chance.getrandbits(128):032x}", chance.randbytes(20), key, b"x" * 600
