"""`play`: runs whole services in one process, with a memory broker, SQLite, virtual time and one seed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from typing_extensions import TypeVar

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import Message
from hocket.broker.topology import DEAD, EVENTS, LOG, RECEIPTS, kit, routing_key
from hocket.clock import Clock
from hocket.config import Config
from hocket.declarations.subscription import EventName, name_of
from hocket.envelope.cloudevent import CONTENT_TYPE, UNDO_TYPE, Envelope, Received, encode, read
from hocket.envelope.ids import Ids
from hocket.errors import HocketError
from hocket.event import Event, Heard
from hocket.event_data.reading import read as read_event
from hocket.event_data.saying import heard_data_of
from hocket.pseudonym import Pseudonyms
from hocket.runtime import here
from hocket.saga import LedgerState, Standing, UndoStand, standing
from hocket.service import Service
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Listener, Signals
from hocket.testing.failures import Failed, Failures
from hocket.testing.freezer import RUNS, Freezer, freezing
from hocket.testing.machine import Machine, ServiceClock
from hocket.testing.virtual_time import LoopClock, virtual_time
from hocket.worker.clock_watch import LOOK_SECONDS, PUT_RIGHT_SECONDS, STEADY_SECONDS
from hocket.worker.worker import Worker

D = TypeVar("D", default=None)
E = TypeVar("E", bound=Event)

#: The source of what a test lets the services hear.
_TEST = "/play"
#: The key of pseudonyms in `play`, so that a test knows the subjects.
PSEUDONYM_KEY = "the key of hocket.testing"
PSEUDONYMS = Pseudonyms.of(PSEUDONYM_KEY)
#: Virtual seconds after which `quiet` gives up and names what is still busy.
QUIET_SECONDS = 3600.0
#: Virtual seconds between two checks of `quiet`.
CHECK_SECONDS = 0.001
#: Virtual seconds that `advance` works through in one piece where something may happen at any moment.
WORKED_SECONDS = 1.0
#: Most virtual seconds that pass at once where nothing is due, and the least for which that is worth while; what the
#: kit does each hour still happens each hour.
MOST_AT_ONCE, LEAST_AT_ONCE = 3600.0, 5.0


class Play:
    """Running services, and what can be observed of them from outside."""

    def __init__(
        self,
        broker: MemoryBroker,
        workers: Sequence[Worker],
        clock: LoopClock,
        machine: Machine,
        freezer: Freezer,
        ids: Ids,
        failures: Failures,
        *,
        raise_failures: bool,
    ) -> None:
        self.broker = broker
        self.workers = {worker.service.name: worker for worker in workers}
        self._clock = clock
        self._machine = machine
        self._freezer = freezer
        self._settled = 0.0  # when the services have done all they do after a step of a clock
        self._ids = ids
        self._failures = failures
        self._raise_failures = raise_failures
        self._transport = MemoryTransport(broker, "play")
        self._models: dict[EventName, type[Event]] = {}
        for worker in workers:
            self._models |= worker.service.declarations.says

    @property
    def said(self) -> Sequence[Event]:
        """All events that the services have said, in the order of the log."""
        return [event for received in self._log() if (event := self._event(received)) is not None]

    def said_of(self, event: type[E]) -> Sequence[E]:
        """The events of this class that the services have said; what the test let them hear is none."""
        name = name_of(event)
        found = [each for each in self._log() if (each.envelope.type, each.envelope.version) == name]
        return [read_event(event, each) for each in found if each.envelope.source != _TEST]

    @property
    def dead(self) -> Sequence[str]:
        """The subscriptions with dead letters, one entry for each letter."""
        return [each.routing_key for each in self.broker.messages(DEAD)]

    @property
    def failed(self) -> Sequence[Failed]:
        """The attempts that failed, oldest first: which, with what error, and the stack; printed, they read as text."""
        return tuple(self._failures.found)

    @property
    def zombies(self) -> Sequence[str]:
        """Steps whose effect stands although their flow failed, and whose undo died: `STEP SUBJECT` (RULES 5.8)."""
        last: dict[str, LedgerState] = {}
        undo: dict[str, UndoStand] = {}
        names: dict[str, str] = {}
        for fact in self.receipts:
            if not (fact.get("ledger") and fact.get("run")):
                continue
            run, own = fact["run"], fact["subscription"] == fact["step"]
            last[run] = LedgerState(fact["ledger"])
            if fact["event"]["type"] == UNDO_TYPE:
                undo[run] = UndoStand.DEAD if fact["outcome"] == "dead" else UndoStand.OPEN
            names[run] = f"{fact['step']} {fact['subject']}" if own else names.get(run, fact["step"])
        return [
            names[run]
            for run, state in last.items()
            if standing(state, undo=undo.get(run, UndoStand.NONE)) is Standing.ZOMBIE
        ]

    @property
    def receipts(self) -> Sequence[dict[str, Any]]:
        """All receipts and other facts that the services have reported."""
        return [fact for each in self.broker.messages(RECEIPTS) for fact in json.loads(each.body)]

    @property
    def timers(self) -> Sequence[str]:
        """The time-outs that are armed: `SUBSCRIPTION SCOPE`, in the order in which they were first told."""
        last: dict[str, tuple[str, str]] = {}
        for fact in self.receipts:
            timer = fact.get("timer")
            if timer and "scope" in timer:
                last[timer["run"]] = (timer["state"], f"{fact['subscription']} {timer['scope']}")
            elif timer and timer["state"] == "fired":
                last.pop(timer["run"], None)
        return [name for state, name in last.values() if state == "armed"]

    @property
    def breakers(self) -> Mapping[str, str]:
        """The state of each breaker that was used or declared: closed, half-open, open or held, by `SERVICE.NAME`."""
        return {
            f"{name}.{each.breaker.name}": str(each.state)
            for name, worker in self.workers.items()
            for each in worker.breakers.all()
        }

    async def hear(
        self, event: Heard, /, *, subject: str | None = None, key: str | None = None, correlation_id: str | None = None
    ) -> None:
        """Publish an event as another team's service would. The same `key` again makes it a duplicate."""
        type_, version = name_of(type(event))
        event_id = self._ids.uuid7()
        envelope = Envelope(
            id=event_id,
            source=_TEST,
            type=type_,
            version=version,
            subject=subject or (event.subject_of(PSEUDONYMS) if isinstance(event, Event) else f"{type_}/{event_id}"),
            time=self._clock.now(),
            correlation_id=correlation_id or self._ids.uuid7(),
            idempotency_key=key or event_id,
            data=heard_data_of(event),
        )
        body = encode(envelope, heard=True)
        message = Message(EVENTS, routing_key(type_, version), body, CONTENT_TYPE, type=type_)
        await self._transport.publish([message])

    async def push(
        self, service: Service[Any], webhook: str, body: bytes, /, *, headers: Mapping[str, str] | None = None
    ) -> str:
        """Let a webhook take this body as if its sender had signed it; the delivery's id is made of both as ever.

        How it ended: `said`, `nothing`, `seen`, `twin`, or `kept` with its cause, `kept: mapping: …`.
        """
        return await self.workers[service.name].webhooks.push(webhook, body, headers or {})

    async def quiet(self) -> None:
        """Wait until everything that is due now is done. What is due later keeps waiting.

        Raises `HocketError` that names what is still busy after `QUIET_SECONDS`, or the task of the kit that failed;
        with `raise_failures`, also for an attempt that failed.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_SECONDS
        while not self._idle():
            if loop.time() > end:
                raise HocketError(
                    f"still busy after {QUIET_SECONDS:.0f} s: {', '.join(self._busy())}; end what runs there"
                )
            await asyncio.sleep(CHECK_SECONDS)
        if self._raise_failures and self._failures.found:
            raise HocketError(self._failures.text())

    async def advance(self, by: timedelta, /) -> None:
        """Let this much time pass, and wait until everything that became due is done.

        Where nothing is due, up to an hour passes at once: heartbeats of that hour are missing.
        """
        await self.quiet()
        end = self._clock.monotonic() + by.total_seconds()
        while (left := end - self._clock.monotonic()) > 0:
            if (calm := await self._calm(left)) >= LEAST_AT_ONCE:
                self._clock.jump(calm)
                for worker in self.workers.values():
                    worker.runtime.pauses.start()  # it is no pause of the process
            await asyncio.sleep(max(min(WORKED_SECONDS, end - self._clock.monotonic()), 0.0))
        await self.quiet()

    async def step_clock(self, by: timedelta, /, *, of: Literal["machine", "store"] = "machine") -> None:
        """Step a clock, forward or back, as an operator or a time server does (RULES 11).

        The machine's: the services go on by their own clocks, say so, and follow it when it has been steady for a
        minute. The store's: what waits is due earlier or later by so much, once. Waits until the services have seen it.
        """
        seconds = by.total_seconds()
        self._machine.stepped += seconds
        for worker in self.workers.values() if of == "store" else ():
            clock = worker.runtime.clock
            assert isinstance(clock, ServiceClock)
            clock.set_forward(seconds)
            worker.timers.look_at_all()
        self._settled = self._clock.monotonic() + 2 * max(STEADY_SECONDS, PUT_RIGHT_SECONDS)
        await asyncio.sleep(2 * LOOK_SECONDS)
        await self.quiet()

    async def pause(self, service: Service[Any], /, seconds: float) -> None:
        """Let nothing of this service run for so long, as when its process is stopped; the others and the time go on.

        Then it goes on where it was, with all that became due meanwhile. Raises `HocketError` for a service that does
        not play.
        """
        if service.name not in self.workers:
            raise HocketError(f"{service.name} does not play here; give one of {', '.join(self.workers)}")
        self._freezer.freeze(service.name)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._freezer.thaw(service.name)

    async def _calm(self, most: float) -> float:
        """For how many seconds, at most `most`, nothing can happen but what the kit does by the clock."""
        kit = {task for worker in self.workers.values() for task in worker.runtime.tasks.running()}
        now = self._clock.monotonic()
        if now < self._settled or not self._idle() or asyncio.all_tasks() - kit - {asyncio.current_task()}:
            return 0.0
        waits = [most - WORKED_SECONDS, MOST_AT_ONCE]
        for worker in self.workers.values():
            store = worker.runtime.store
            due = [await store.next_due(), await store.timers.next_due(worker.timers.mine)]
            waits += [wait for wait in due if wait is not None]
            waits += [each.wait(now) for each in worker.circuits.values() if each.state != "closed"]
        return min(waits)

    async def open(self) -> None:
        """Connect, and declare the kit's own broker objects."""
        await self._transport.open()
        await self._transport.until_ready()
        await self._transport.declare(kit())

    async def close(self) -> None:
        """Disconnect."""
        await self._transport.close()

    def _idle(self) -> bool:
        for worker in self.workers.values():
            if not worker.live:
                raise HocketError(worker.runtime.tasks.failed)
        parked = [queue for worker in self.workers.values() for queue in worker.parked()]
        return self.broker.idle(parked) and all(worker.idle() for worker in self.workers.values())

    def _busy(self) -> list[str]:
        busy = [name for name, worker in self.workers.items() if not worker.idle()]
        return busy or ["the broker"]

    def _log(self) -> list[Received]:
        now = self._clock.now()
        return [read(each.body, each.content_type, each.headers, now) for each in self.broker.messages(LOG)]

    def _event(self, received: Received) -> Event | None:
        envelope = received.envelope
        model = self._models.get((envelope.type, envelope.version))
        return read_event(model, received) if model and envelope.source != _TEST else None


@asynccontextmanager
async def play(
    *services: Service[Any], seed: int = 0, listeners: Sequence[Listener] = (), raise_failures: bool = False
) -> AsyncIterator[Play]:
    """Run services under virtual time. The same seed and the same calls give the same run.

    Where the test fails, its error lists the attempts that failed, with their stacks. With `raise_failures`, `quiet`
    raises `HocketError` with that list as soon as an attempt has failed, for a test in which none may.
    """
    async with AsyncExitStack() as stack:
        clock = stack.enter_context(virtual_time())
        chance = random.Random(seed)
        ids = Ids(clock, chance)
        broker = MemoryBroker(clock=clock)
        failures, machine = Failures(), Machine()
        signals = Signals([failures, *listeners])
        freezer = stack.enter_context(freezing(broker))
        workers = [_worker(service, broker, signals, ServiceClock(machine), chance, ids) for service in services]
        running = Play(broker, workers, clock, machine, freezer, ids, failures, raise_failures=raise_failures)
        await running.open()
        stack.push_async_callback(running.close)
        stack.enter_context(here({worker.service.name: worker for worker in workers}))
        for worker in workers:
            mine = RUNS.set(worker.service.name)
            await worker.start()
            RUNS.reset(mine)
            stack.push_async_callback(worker.stop)
        await running.quiet()
        with failures.told():
            yield running


def _worker(
    service: Service[Any], broker: MemoryBroker, signals: Signals, clock: Clock, chance: random.Random, ids: Ids
) -> Worker:
    boot = ids.uuid7()
    return Worker(
        service,
        store=SqliteStore(":memory:", clock=clock, boot=boot, inline=True),
        transport=MemoryTransport(broker, service.name),
        signals=signals,
        clock=clock,
        chance=chance,
        boot=boot,
        version="play",
        # A test depends on no variable of its machine, and a clock that jumps must not run beside a thread.
        config=Config.model_construct(blocking_threads=0, pseudonym_key=PSEUDONYM_KEY, log_check_events_per_second=0),
    )
