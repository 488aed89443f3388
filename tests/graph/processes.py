"""Processes of services in the graph: the product's stations, at one moment, with ids that repeat."""

import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, cast

from hocket import Service
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.config import Config
from hocket.delivery.admit import Admission
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.record import Recorder
from hocket.envelope.ids import Ids, as_uuid
from hocket.envelope.keys import digest
from hocket.outbox.builder import OutboxBuilder
from hocket.resilience.supervisor import Supervisor
from hocket.runtime import Runtime, ServiceInstance
from hocket.store.port import Store
from hocket.store.records import OutboxRow
from hocket.telemetry.signals import Signals
from tests.graph.rows import NOW, Rows

T = TypeVar("T")

#: The largest event.
MOST_BYTES = 100_000
#: The one moment at which everything happens, as a date.
AT = datetime.fromtimestamp(NOW, UTC)


class FixedClock:
    """It is always the same moment."""

    def now(self) -> datetime:
        """That moment."""
        return AT

    def monotonic(self) -> float:
        """The same in seconds."""
        return NOW


class SeededIds(Ids):
    """Ids that follow from what is handled: a run that is repeated makes the same."""

    seed = b""
    _made = 0

    def begin(self, seed: bytes) -> None:
        """The ids of one delivery begin."""
        self.seed, self._made = seed, 0

    def uuid7(self) -> str:
        """The next one."""
        self._made += 1
        value = int.from_bytes(digest("graph", self.seed.hex(), str(self._made)), "big")
        return as_uuid(value & ~(0xF << 76) & ~(0b11 << 62) | 0x7 << 76 | 0b10 << 62)


class OneByOne(Committer):
    """The group commit of deliveries, for one at a time."""

    async def commit_one(self, arrival: Arrival) -> None:
        """Commit it, and decide it again under its lock where it has lost by its version."""
        await self._commit_group([arrival])


class Process(NamedTuple):
    """One process of a service."""

    runtime: Runtime
    admission: Admission
    recorder: Recorder
    committer: OneByOne


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waited for something")


def started(
    service: Service[Any],
    boot: str,
    rows: Rows,
    won: Callable[[Sequence[Arrival], Sequence[OutboxRow]], None],
    lost: Callable[[Arrival], None],
) -> Process:
    """A process over these rows; `won` and `lost` are told what its commits have decided."""
    clock, signals, name = FixedClock(), Signals(), service.name
    ids = SeededIds(clock, random.Random(1))
    runtime = Runtime(
        ServiceInstance(name, boot, boot),
        clock,
        ids,
        random.Random(1),
        signals,
        cast("Store", rows),
        MemoryTransport(MemoryBroker(clock=clock), name),
        Supervisor(name, signals),
        Config.model_construct(),
    )
    recorder = Recorder(runtime.instance, OutboxBuilder(name, ids, clock, signals, MOST_BYTES), shed=lambda: True)
    committer = OneByOne(runtime, recorder, won=won, lost=lost, unknown=lambda: None, free=lambda *_: None)
    return Process(runtime, Admission(runtime, service.declarations.subscriptions), recorder, committer)
