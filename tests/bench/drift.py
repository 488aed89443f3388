"""What the look for drift adds to decoding an event (RULES 16.2): CPU of one thread, in paired rounds."""

import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from hocket import Service, Tx
from hocket.broker.port import Consumer, Delivery, Handle
from hocket.broker.topology import HEARD
from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import Arrival
from hocket.delivery.decode import decode
from hocket.delivery.gates.drift import DriftGate
from hocket.envelope import CONTENT_TYPE
from tests.bench.event import ROUTING_KEY, Placed, bodies
from tests.bench.processes import Run

#: Events of one round, rounds of each, and events that are decoded together.
EVENTS, ROUNDS, BATCH = 4_000, 9, 64


def _subscriptions() -> tuple[Subscription, Subscription]:
    """One that warns, and one that keeps out."""
    service: Service[Any] = Service("bench", owner="team-bench")

    @service.handler
    async def handle(order: Placed, tx: Tx) -> None: ...

    @service.handler(drift="quarantine")
    async def hold(order: Placed, tx: Tx) -> None: ...

    service.complete()
    every = service.declarations.subscriptions
    return every["bench.handle"], every["bench.hold"]


def _cpu_us(deliveries: Sequence[Delivery], subscription: Subscription, gate: DriftGate | None) -> float:
    """Microseconds an event of decoding, with a look or without."""
    now, nobody = datetime.now(UTC), cast("Consumer", None)
    began = time.thread_time()
    for at in range(0, len(deliveries), BATCH):
        arrivals = [Arrival(each, nobody, subscription, now) for each in deliveries[at : at + BATCH]]
        for each in arrivals:
            decode(each)
        if gate is not None:
            gate.look(arrivals)
    return (time.thread_time() - began) / len(deliveries) * 1e6


def drift_us(scale: float = 1.0) -> Run:
    """Microseconds an event: decoding alone, what `warn` adds, what `quarantine` adds; medians of paired rounds."""
    warns, holds = _subscriptions()
    found = bodies(max(200, int(EVENTS * scale)))
    deliveries = [
        Delivery(warns.queue, Handle(1, n), body, CONTENT_TYPE, {}, exchange=HEARD, routing_key=ROUTING_KEY)
        for n, body in enumerate(found)
    ]
    gate, whole = DriftGate(warns), DriftGate(holds)
    alone: list[float] = []
    added: dict[str, list[float]] = {"drift_warn_us": [], "drift_quarantine_us": []}
    for _ in range(ROUNDS):
        alone.append(_cpu_us(deliveries, warns, None))
        added["drift_warn_us"].append(_cpu_us(deliveries, warns, gate) - alone[-1])
        added["drift_quarantine_us"].append(_cpu_us(deliveries, holds, whole) - alone[-1])
    return Run({"drift_decode_us": statistics.median(alone), **{k: statistics.median(v) for k, v in added.items()}})
