"""A `Runtime` for tests of single parts: a store and a clock of the test's, a broker in memory, nobody who listens."""

import random

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.clock import Clock
from hocket.config import Config
from hocket.envelope.ids import Ids
from hocket.resilience.supervisor import Supervisor
from hocket.runtime import Runtime, ServiceInstance
from hocket.store.port import Store
from hocket.telemetry.signals import Signals


def runtime_of(service: str, store: Store, clock: Clock) -> Runtime:
    """The runtime of one part under test; chance is the same each time."""
    chance, signals = random.Random(1), Signals()
    return Runtime(
        ServiceInstance(service, f"{service}-1", "b"),
        clock,
        Ids(clock, chance),
        chance,
        signals,
        store,
        MemoryTransport(MemoryBroker(clock=clock), service),
        Supervisor(service, signals),
        Config.model_construct(),
    )
