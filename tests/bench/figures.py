"""Every figure of the report: which systems take part, and how one run of each is made."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from hocket.envelope import CONTENT_TYPE
from tests.bench.drift import drift_us
from tests.bench.environment import Databases, Ground, consumer, copies, declare, preload, quorum
from tests.bench.event import ROUTING_KEY, bodies
from tests.bench.flow import start_flows
from tests.bench.footprint import idle_mib, import_ms
from tests.bench.measured_process import Task
from tests.bench.processes import Child, Run, measure

#: Events of one run, by what is measured; `SCALE` in the environment multiplies them.
ONE, PIPELINED, OUTBOX, CONSUMED, SLOW_CONSUMED, FLOWS = 1000, 10_000, 6_000, 12_000, 3_000, 3_000
FACTS = 9_000
RATE, LATENCY_SECONDS = 500.0, 6.0
#: Events and declarations of the figures about the broker alone; connections that publish one event at a time each;
#: queues of others beside a declared one; a quiet service hears so many events a second for so long.
HEARD, DECLARATIONS, FLEET, OTHER_QUEUES, QUIET_RATE, QUIET_SECONDS = 4000, 200, 60, 60, 50, 6
#: Rounds of the figures about growth: their files are large.
GROWTH_ROUNDS = 3
#: What the peers read and write as content type; hocket's own is the envelope's.
PEERS_TYPE = "application/json"
HOCKET, RAW, FASTSTREAM = "hocket", "raw_aio_pika", "faststream"
MODULES = {
    HOCKET: "hocket_system",
    RAW: "peers.aiopika",
    FASTSTREAM: "peers.faststream",
    "faststream_outbox": "peers.faststream_outbox",
    "celery": "peers.celery",
    "dramatiq": "peers.dramatiq",
    "taskiq": "peers.taskiq",
}
#: Peers that make queues and messages of their own kind.
OWN_KIND = ("celery", "dramatiq", "taskiq")

System = Callable[[], Run]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, or several that one run gives; `systems` in the order in which a round runs them."""

    names: tuple[str, ...]
    systems: Mapping[str, System]
    unit: str = "events/s"
    rounds: int | None = None  # at most so many, where a run is long or its files are large


@dataclass(slots=True)
class Field:
    """Makes the figures on one ground."""

    ground: Ground
    databases: Databases
    scale: float = 1.0
    _figures: list[Figure] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """All figures, in the order of the report."""
        every = (RAW, FASTSTREAM, *OWN_KIND)
        figures = [
            self._rates("publish_one", self._publish, (HOCKET, *every), self._many(ONE), 1),
            self._rates("publish_pipelined", self._publish, (HOCKET, RAW, FASTSTREAM, "taskiq"), self._many(PIPELINED)),
            self._rates("publish_outbox_sqlite", partial(self._outbox, "sqlite"), (HOCKET, RAW), self._many(OUTBOX)),
            self._rates("consume_sqlite", partial(self._consume, "sqlite"), (HOCKET, *every), self._many(CONSUMED)),
            self._steps("sqlite"),
        ]
        if self.databases.postgres:
            three = (HOCKET, RAW, FASTSTREAM)
            systems = (HOCKET, RAW, "faststream_outbox")
            figures += [
                self._rates("publish_outbox", partial(self._outbox, "postgres"), systems, self._many(OUTBOX)),
                self._rates("consume_postgres", partial(self._consume, "postgres"), three, self._many(CONSUMED)),
                self._steps("postgres"),
            ]
        figures += [self._chain("chain_three", bare=False), self._chain("chain_three_bare", bare=True)]
        latency = {system: partial(self._latency, system) for system in (HOCKET, RAW, FASTSTREAM)}
        figures.append(Figure(("latency_p50", "latency_p99"), latency, "ms"))
        figures.append(Figure(("idle_mib",), {name: partial(self._idle, name) for name in latency}, "MiB"))
        figures.append(Figure(("import_ms",), {name: partial(import_ms, name) for name in latency}, "ms"))
        names = ("drift_decode_us", "drift_warn_us", "drift_quarantine_us")
        figures.append(Figure(names, {HOCKET: partial(drift_us, self.scale)}, "us"))
        for known in (10, 1000):
            run = partial(self._tracer, f"tracer_facts_{known}", known)
            figures.append(Figure((f"tracer_facts_{known}", f"tracer_fact_bytes_{known}"), {HOCKET: run}, "facts/s"))
        return figures + self._fleet() + self._growth()

    def _many(self, count: int) -> int:
        return max(200, int(count * self.scale))

    def _rates(
        self, name: str, run: Callable[..., Run], systems: tuple[str, ...], count: int, window: int = 256
    ) -> Figure:
        return Figure((name,), {system: partial(run, name, system, count, window) for system in systems})

    def _steps(self, store: str) -> Figure:
        """A step of hocket, which says an event and can be undone, beside a raw consumer, which does neither."""
        run = partial(self._consume, store, command="consume_step")
        return self._rates(f"consume_step_{store}", run, (HOCKET, RAW), self._many(CONSUMED))

    def _publish(self, name: str, system: str, count: int, window: int) -> Run:
        amqp = self.ground.fresh()
        task = Task(amqp, count=count, window=window, exchange="hocket.events", routing_key=ROUTING_KEY)
        if system in OWN_KIND:
            task = replace(task, queue=f"{system}.q", exchange="", count=min(count, SLOW_CONSUMED))
        else:
            asyncio.run(declare(amqp, consumer()))
        return measure(self.ground, MODULES[system], "publish", task, name)

    def _outbox(self, store: str, name: str, system: str, count: int, window: int) -> Run:
        if system == RAW:
            return self._publish(name, system, count, window)
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer()))
        database = self.databases.fresh(store)
        if system == HOCKET:
            task = Task(amqp, count=count, window=window, database=database)
            return measure(self.ground, "hocket_system", "publish_outbox", task, name, self.databases)
        asyncio.run(quorum(amqp, ["peer.q"]))
        task = Task(amqp, count=min(count, SLOW_CONSUMED), queue="peer.q", database=database)
        return measure(self.ground, MODULES[system], "publish", task, name, self.databases)

    def _consume(self, store: str, name: str, system: str, count: int, window: int, command: str = "consume") -> Run:
        amqp = self.ground.fresh()
        task = Task(amqp, count=count, prefetch=window, database=self.databases.fresh(store))
        if system in OWN_KIND:
            task = replace(task, count=min(count, SLOW_CONSUMED), queue=f"{system}.q")
            with Child(MODULES[system], "sample", task) as child:
                child.ready()
                child.go()
                child.result()
            asyncio.run(copies(amqp, task.queue, task.count))
        else:
            self._fill(amqp, count, CONTENT_TYPE if system == HOCKET else PEERS_TYPE)
        command = command if system == HOCKET else "consume"
        return measure(self.ground, MODULES[system], command, task, name, self.databases)

    def _fill(self, amqp: str, count: int, content_type: str, queues: int = 1) -> None:
        asyncio.run(declare(amqp, consumer(queues)))
        for number, (handler, _) in enumerate(consumer(queues)[0][1]):
            share = bodies(count // queues, seed=number)
            asyncio.run(preload(amqp, f"bench.{handler}", share, content_type))

    def _chain(self, name: str, *, bare: bool) -> Figure:
        run = partial(self._chain_once, name, bare)
        return Figure((name,), {each: partial(run, each) for each in (HOCKET, RAW, FASTSTREAM)}, "flows/s")

    def _chain_once(self, name: str, bare: bool, system: str) -> Run:
        amqp, count = self.ground.fresh(), self._many(FLOWS)
        keys = [ROUTING_KEY, "parcel.packed.v1", "parcel.sent.v1", ""]
        stages = ["first", "second", "third"]
        queues = [f"{stage}.handle" for stage in stages]
        flat = bare and system != HOCKET
        if flat:
            keys = [*queues, ""]
            asyncio.run(quorum(amqp, queues))
        else:
            heard = [(stage, [("handle", key)]) for stage, key in zip(stages, keys[:3], strict=True)]
            asyncio.run(declare(amqp, heard))
        exchange = "" if flat else "hocket.events"
        reading, writing = os.pipe()
        children: list[Child] = []
        try:
            for number, stage in enumerate(stages):
                task = Task(
                    amqp, queue=queues[number], count=count, exchange=exchange, routing_key=keys[number + 1],
                    database=self.databases.fresh("sqlite"), source=stage, fd=writing if number == 2 else -1,
                )  # fmt: skip
                children.append(Child(MODULES[system], "stage", task, (writing,) if number == 2 else ()))
            for child in children:
                child.ready()
                child.go()
            type_ = CONTENT_TYPE if system == HOCKET else PEERS_TYPE
            before = self.ground.broker_cpu()
            asyncio.run(start_flows(amqp, exchange, keys[0], type_, count, reading))
            found = children[2].result()
            broker = self.ground.broker_cpu() - before
        finally:
            for child in children:
                child.process.kill()
                child.process.wait()
            os.close(reading)
            os.close(writing)
        return Run({name: found["count"] / found["wall"]}, found["cpu"] / count * 1e6, broker / count * 1e6)

    def _latency(self, system: str) -> Run:
        amqp, count = self.ground.fresh(), int(RATE * LATENCY_SECONDS)
        asyncio.run(declare(amqp, consumer()))
        task = Task(amqp, count=count, exchange="hocket.events", rate=RATE, source="bench")
        sent = replace(task, routing_key=ROUTING_KEY, database=self.databases.fresh("sqlite"))
        task = replace(task, database=self.databases.fresh("sqlite"))
        with Child(MODULES[system], "stage", task) as sink, Child(MODULES[system], "send", sent) as source:
            for child in (sink.ready(), source.ready()):
                child.go()
            found = sink.result()
            source.result()
        return Run({"latency_p50": found["p50"], "latency_p99": found["p99"]}, found["cpu"] / count * 1e6)

    def _idle(self, system: str) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer()))
        return idle_mib(MODULES[system], Task(amqp, database=self.databases.fresh("sqlite")))

    def _tracer(self, name: str, known: int) -> Run:
        """Facts a second while so many services are known, and bytes a fact in the database."""
        task = Task("", count=self._many(FACTS), subscriptions=known, database=self.databases.fresh("sqlite"))
        with Child("tracer_system", "facts", task) as child:
            child.ready()
            child.go()
            found = child.result()
        values = {name: found["count"] / found["wall"], f"tracer_fact_bytes_{known}": found["bytes"]}
        return Run(values, found["cpu"] / found["count"] * 1e6)

    def _fleet(self) -> list[Figure]:
        """What the kit's topology costs the broker where many services share it; no peer has a part in it."""
        costs: dict[str, Callable[[], Run]] = {
            **{f"hearers_{many}": partial(self._hearers, many) for many in (1, 3, 10)},
            "fleet_event": self._fleet_event,
            "declare_again": self._declare_again,
        }
        figures = [
            Figure((name,), {HOCKET: partial(self._broker_us, name, run)}, "broker µs") for name, run in costs.items()
        ]
        return [*figures, Figure(("fleet_receipt",), {HOCKET: self._fleet_receipt}, "facts/message")]

    def _broker_us(self, name: str, run: Callable[[], Run]) -> Run:
        found = run()
        return Run({name: found.broker_us}, found.client_us, found.broker_us)

    def _hearers(self, many: int) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer(many)))
        return measure(self.ground, "hocket_system", "publish", Task(amqp, count=self._many(HEARD)), "rate")

    def _fleet_event(self) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer()))
        task = Task(amqp, count=self._many(HEARD), window=FLEET)
        return measure(self.ground, "hocket_system", "publish_fleet", task, "rate")

    def _declare_again(self) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer(OTHER_QUEUES)))
        task = Task(amqp, count=max(20, int(DECLARATIONS * self.scale)))
        return measure(self.ground, "hocket_system", "declare_again", task, "rate")

    def _fleet_receipt(self) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer()))
        task = Task(amqp, count=QUIET_RATE * QUIET_SECONDS, rate=QUIET_RATE, database=self.databases.fresh("sqlite"))
        with Child("hocket_system", "receipts", task) as child:
            child.ready()
            child.go()
            return Run({"fleet_receipt": child.result()["facts_a_message"]})

    def _growth(self) -> list[Figure]:
        figures = []
        for millions in (0, 1, 3):
            run = partial(self._grown_inbox, f"consume_inbox_{millions}m", millions * 1_000_000)
            figures.append(Figure((f"consume_inbox_{millions}m",), {HOCKET: run}, rounds=GROWTH_ROUNDS))
        for millions in (0, 1):
            run = partial(self._grown_outbox, f"publish_waiting_{millions}m", millions * 1_000_000)
            figures.append(Figure((f"publish_waiting_{millions}m",), {HOCKET: run}, rounds=GROWTH_ROUNDS))
        for many in (1, 4, 16, 64):
            run = partial(self._subscriptions, f"subscriptions_{many}", many)
            figures.append(Figure((f"subscriptions_{many}",), {HOCKET: run}, rounds=GROWTH_ROUNDS))
        return figures

    def _grown_inbox(self, name: str, rows: int) -> Run:
        amqp, count = self.ground.fresh(), self._many(CONSUMED)
        self._fill(amqp, count, CONTENT_TYPE)
        task = Task(amqp, count=count, database=self.databases.with_inbox("bench", rows))
        return measure(self.ground, "hocket_system", "consume", task, name)

    def _grown_outbox(self, name: str, rows: int) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(declare(amqp, consumer()))
        task = Task(amqp, count=self._many(OUTBOX), database=self.databases.with_outbox("orders", rows))
        return measure(self.ground, "hocket_system", "publish_outbox", task, name)

    def _subscriptions(self, name: str, many: int) -> Run:
        amqp = self.ground.fresh()
        count = self._many(CONSUMED) // 64 * 64
        self._fill(amqp, count, CONTENT_TYPE, many)
        task = Task(amqp, count=count, subscriptions=many, database=self.databases.fresh("sqlite"))
        return measure(self.ground, "hocket_system", "consume", task, name)
