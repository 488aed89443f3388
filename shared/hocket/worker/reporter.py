"""What a service reports of itself: manifests, drift each minute, heartbeats every ten seconds, samples each second."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hocket.broker.port import Message
from hocket.broker.topology import RECEIPTS
from hocket.clock import rfc3339
from hocket.declarations.choreography import Declarations
from hocket.declarations.subscription import Subscription
from hocket.delivery.ordering.blocked import BlockedSubjects
from hocket.delivery.runner import SubscriptionRunner
from hocket.drift.counting import DriftWatch
from hocket.errors import StoreError
from hocket.outbox.relay import Relay
from hocket.outbox.timers import TimerCaller
from hocket.resilience.breakers.registry import Shown
from hocket.resilience.breakers.row import HALF, SHUT
from hocket.resilience.breakers.view import SharedBreaker
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow, RowKind, Waiting
from hocket.store.timers import TimersWaiting
from hocket.telemetry.signals import BackfillSample, Sample
from hocket.worker.projections.keeper import Projections

#: Seconds between two samples, heartbeats, facts of drift and manifests; with these all drift is told again.
SAMPLE_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
DRIFT_SECONDS = 60.0
MANIFEST_SECONDS = 3600.0


@dataclass(slots=True)
class Reporter:
    """Reports for one service."""

    runtime: Runtime
    version: str
    declared: Declarations
    relay: Relay
    circuits: dict[str, Shown]
    in_progress: Callable[[], dict[str, int]]
    shed: int = 0
    timers: TimerCaller | None = None
    projections: Projections | None = None
    drift: list[DriftWatch] = field(default_factory=list)  # of webhooks
    runners: Mapping[str, SubscriptionRunner] = field(default_factory=dict)
    backfills: Callable[[], Mapping[str, BackfillSample]] = dict
    waiting: Waiting = field(default_factory=Waiting)
    blocked: BlockedSubjects = field(init=False)
    _since: dict[str, datetime] = field(default_factory=dict)
    _changed: bool = False  # a breaker is in another state than the last heartbeat said

    def __post_init__(self) -> None:
        self.blocked = BlockedSubjects(self.runtime, self.declared.subscriptions, self._generations)

    def _generations(self) -> Sequence[Subscription]:
        return self.projections.generations if self.projections is not None else ()

    def manifest(self) -> bool:
        """Publish what the service declares; False where there is no link."""
        return self._publish({"kind": "manifest", **self.declared.manifest(self._generations())})

    def heartbeat(self) -> None:
        """Publish that the service is alive, what waits in its outbox, and the states of its breakers."""
        waiting = {"events": self.waiting.events, "receipts": self.waiting.receipts}
        waiting |= {"later": self.waiting.later, "refused": self.waiting.refused}
        breakers = {name: self._breaker(name, circuit) for name, circuit in self.circuits.items()}
        self._publish({"kind": "heartbeat", "version": self.version, "waiting": waiting, "breakers": breakers,
                   "shed": self.shed})  # fmt: skip

    def tell(self, fact: dict[str, object]) -> bool:
        """Publish a fact of another part, with service, instance, boot and time; False where there is no link."""
        return self._publish(fact)

    def breaker_changed(self, name: str, state: str) -> None:
        """A breaker has changed its state: tell listeners at once, the tracer by a heartbeat within a second."""
        self._since[name] = self.runtime.clock.now()
        circuit = self.circuits.get(name)
        reason = circuit.why if isinstance(circuit, SharedBreaker) else ""
        self.runtime.signals.breaker(self.runtime.service, name, state, reason)
        self._changed = True

    def _breaker(self, name: str, circuit: Shown) -> dict[str, object]:
        if isinstance(circuit, SharedBreaker):
            return _shared(circuit)
        now = self.runtime.clock.now()
        since = self._since.get(name)
        wait = circuit.wait(self.runtime.clock.monotonic())
        until = rfc3339(now + timedelta(seconds=wait)) if circuit.state == "open" else None
        return {"state": circuit.state, "since": rfc3339(since) if since else None, "until": until}

    def tell_drift(self, *, all_of_it: bool = False) -> None:
        """Publish what was counted of drift since the last time; what has no link or no room is told the next time."""
        for watch in (*(each.drift.watch for each in self.runners.values()), *self.drift):
            for (type_, kind), many in watch.since_last().items():
                self.runtime.signals.drifted(self.runtime.service, watch.subscription, type_, kind, many)
            for counted in watch.counted(all_of_it=all_of_it):
                if not self._publish(counted.fact()):
                    watch.untold()

    def _publish(self, fact: dict[str, object]) -> bool:
        now = self.runtime.clock.now()
        instance = self.runtime.instance
        fact |= {"service": instance.service, "instance": instance.instance, "boot": instance.boot}
        fact["time"] = rfc3339(now)
        body = json.dumps([fact], separators=(",", ":"), ensure_ascii=False).encode()
        message = Message(RECEIPTS, "", body, "application/json", app_id=self.runtime.service)
        return self.relay.send_unstored(OutboxRow(RowKind.RECEIPT, message, now.timestamp()))

    async def run(self) -> None:
        """Publish manifests and heartbeats, until cancelled."""
        last_drift = self.runtime.clock.monotonic()
        last_heartbeat = last_manifest = last_drift - MANIFEST_SECONDS
        while True:
            now = self.runtime.clock.monotonic()
            again = now - last_manifest >= MANIFEST_SECONDS and self.manifest()
            if again:
                last_manifest = now
            if again or now - last_drift >= DRIFT_SECONDS:
                last_drift = now
                self.tell_drift(all_of_it=again)
            if self._changed or now - last_heartbeat >= HEARTBEAT_SECONDS:
                last_heartbeat, self._changed = now, False
                self.heartbeat()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> None:
        """Count what waits in the outbox, until cancelled; also before the broker was first reached."""
        while True:
            await self._sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self) -> None:
        try:
            self.waiting = await self.runtime.store.waiting()
            timers = await self.timers.count() if self.timers is not None else TimersWaiting()
            await self.blocked.look()
        except StoreError:
            return
        self.relay.backlog.set_stored(self.waiting)
        self.runtime.signals.sampled(
            Sample(
                self.runtime.service,
                self.waiting.events,
                self.waiting.receipts,
                self.waiting.later,
                self.waiting.refused,
                self.waiting.oldest,
                self.in_progress(),
                self.shed,
                timers.armed,
                timers.lag,
                self.projections.behind if self.projections is not None else {},
                self.blocked.sample,
                self.backfills(),
            )
        )


def _shared(breaker: SharedBreaker) -> dict[str, object]:
    """A breaker as a heartbeat tells it: its row, as this process knows it."""
    row = breaker.row
    told: dict[str, object] = {
        "state": row.state, "version": row.version, "since": _moment(row.updated), "reason": row.reason, "by": row.by
    }  # fmt: skip
    if row.state in SHUT:
        told["until"] = _moment(row.until)
    elif row.state == HALF:
        probes = {"width": breaker.width, "ramp": breaker.breaker.ramp, "out": len(row.granted())}
        told |= {**probes, "ok": row.ok, "bad": row.bad}
    return told


def _moment(seconds: float) -> str | None:
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds else None
