"""What a service reports of itself: a manifest each hour, a heartbeat every ten seconds, a sample each second."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hocket.broker.port import Message
from hocket.broker.topology import RECEIPTS
from hocket.clock import rfc3339
from hocket.declarations.choreography import Declarations
from hocket.errors import StoreError
from hocket.outbox.relay import Relay
from hocket.outbox.timers import TimerCaller
from hocket.resilience.breakers.registry import Shown
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow, RowKind, Waiting
from hocket.store.timers import TimersWaiting
from hocket.telemetry.signals import Sample

#: Seconds between two samples, heartbeats and manifests.
SAMPLE_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
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
    waiting: Waiting = field(default_factory=Waiting)
    _since: dict[str, datetime] = field(default_factory=dict)

    def manifest(self) -> bool:
        """Publish what the service declares; False where there is no link."""
        return self._publish({"kind": "manifest", **self.declared.manifest()})

    def heartbeat(self) -> None:
        """Publish that the service is alive, what waits in its outbox, and the states of its breakers."""
        waiting = {"events": self.waiting.events, "receipts": self.waiting.receipts}
        waiting |= {"later": self.waiting.later, "refused": self.waiting.refused}
        breakers = {name: self._breaker(name, circuit) for name, circuit in self.circuits.items()}
        self._publish({"kind": "heartbeat", "version": self.version, "waiting": waiting, "breakers": breakers,
                   "shed": self.shed})  # fmt: skip

    def breaker_changed(self, name: str, state: str) -> None:
        """A breaker has changed its state: report it to listeners and to the tracer at once."""
        self._since[name] = self.runtime.clock.now()
        self.runtime.signals.breaker(self.runtime.service, name, state)
        self.heartbeat()

    def _breaker(self, name: str, circuit: Shown) -> dict[str, str | None]:
        now = self.runtime.clock.now()
        since = self._since.get(name)
        wait = circuit.wait(self.runtime.clock.monotonic())
        until = rfc3339(now + timedelta(seconds=wait)) if circuit.state in {"open", "held"} else None
        return {"state": circuit.state, "since": rfc3339(since) if since else None, "until": until}

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
        last_heartbeat = last_manifest = self.runtime.clock.monotonic() - MANIFEST_SECONDS
        while True:
            now = self.runtime.clock.monotonic()
            if now - last_manifest >= MANIFEST_SECONDS and self.manifest():
                last_manifest = now
            if now - last_heartbeat >= HEARTBEAT_SECONDS:
                last_heartbeat = now
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
            )
        )
