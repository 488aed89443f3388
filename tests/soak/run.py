"""One soak: two replicas of every service on one database each, at half of what they can do, for long."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import aiohttp

from deploy.broker.node import RabbitNode, free_ports
from tests.crash import plan
from tests.crash.databases import PostgresDatabases
from tests.crash.load import Load
from tests.crash.process_spawner import Nursery
from tests.crash.quiescence import drained
from tests.crash.run import checked, world_outside
from tests.crash.service_processes import Process, Tally
from tests.soak import log_shapes, memory
from tests.soak.sampling import Sample, Sampler, line

#: Processes of every service.
REPLICAS = 2
#: Seconds of saturated load, those at its begin that are not counted, and between two looks.
PRESS_SECONDS, RAMP_SECONDS, LOOK_SECONDS = 45.0, 10.0, 0.2
#: Sales a second that are said while there is room, and sales not yet closed beyond which there is none.
PRESS_RATE, OPEN_SALES = 1000.0, 256
#: The soak's share of the maximum rate, and the share of that which must really have been said.
SHARE, KEPT = 0.5, 0.95
#: Sales waiting for their answer at once.
CUSTOMERS = 64
#: Seconds between two samples, and samples between two lines of progress.
SAMPLE_SECONDS, SAMPLES_A_LINE = 10.0, 6
#: Shapes of errors in a server's log that are shown.
SHOWN = 10
#: Draws which sales are refused; the run has no other chance that could be repeated.
CHANCE = 1

VERDICT = re.compile(r"events (\d+) lost (\d+) duplicated effects (\d+)")


class Fallen(Exception):
    """A service ended although nobody asked it to; the text says which."""


@dataclass(slots=True)
class Soak:
    """`rate` is in sales a second; 0: half of the maximum that is found first."""

    minutes: float
    rate: float
    folder: Path
    samples: Path
    node: RabbitNode
    databases: PostgresDatabases
    say: Callable[[str], None]
    most: float = 0.0  # sales a second that the fleet can do
    findings: list[str] = field(default_factory=list)
    _fleet: dict[str, Process] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _tally: Tally = field(default_factory=lambda: Tally(0))
    _deadlocks: dict[str, int] = field(default_factory=dict)

    async def run(self) -> int:
        """0 where everything held, else 1."""
        ports = free_ports(REPLICAS * len(plan.SERVICES) + 1)
        await asyncio.to_thread(self.node.start)
        await asyncio.to_thread(self.databases.start)
        with self.samples.open("w", encoding="utf-8") as out:
            async with (
                world_outside(self.folder, ports.pop(), CHANCE) as outside,
                self._running(ports, outside) as load,
            ):
                sampler = Sampler(
                    {name: each.pid for name, each in self._fleet.items()},
                    self._ports,
                    int((self.folder / "broker" / "node.pid").read_text(encoding="ascii")),
                    out,
                )
                try:
                    await self._story(load, sampler)
                except Fallen as fallen:
                    self.findings.append(str(fallen))
        status, verdict = await checked(self.folder, self.node, self.databases, load.answered, 0)
        if status:
            self.findings.append("the checker found what must not be")
        return self._tell(verdict, sampler)

    @asynccontextmanager
    async def _running(self, ports: list[int], outside: int) -> AsyncIterator[Load]:
        """Every replica, ready, and the load that is not yet said; ended in order where nothing went wrong."""
        environment = {
            "HOCKET_BROKER_URL": self.node.url(),
            "HOCKET_DATABASE_URL": self.databases.url_template(),
            "HOCKET_LOG_LEVEL": "WARNING",
            "CRASH_OUTSIDE_URL": f"http://127.0.0.1:{outside}",
        }
        nursery = Nursery(self.folder / "launcher.log")
        await nursery.start()
        try:
            for service in plan.SERVICES:
                for number in range(1, REPLICAS + 1):
                    name, port = f"{service}-{number}", ports.pop()
                    # `drained` counts sales at the till, by its service's name.
                    self._ports[service if number == 1 else name] = port
                    log = self.folder / f"{name}.log"
                    self._fleet[name] = Process(service, port, log, environment, self._tally, nursery)
            await asyncio.gather(*(each.start() for each in self._fleet.values()))
            await asyncio.gather(*(each.ready() for each in self._fleet.values()))
            tills = [f"http://127.0.0.1:{each.port}" for each in self._fleet.values() if each.name == "till"]
            load = Load(tills, plan.sales(CHANCE), self.rate or PRESS_RATE, customers=CUSTOMERS)
            yield load
            for each in self._fleet.values():
                await each.stop()
            self.findings += self._tally.fallen
        finally:
            await nursery.stop()

    async def _story(self, load: Load, sampler: Sampler) -> None:
        customers = asyncio.create_task(load.run())
        try:
            if not self.rate:
                await self._calibrate(load)
            await self._soak(load, sampler)
        except asyncio.CancelledError:
            customers.cancel()
            raise
        finally:
            load.stop()
            await asyncio.wait([customers])
        await customers
        left = await drained(self.node.url(), self._ports, len(load.answered))
        if left:
            self.findings.append(f"still waiting at the end: {left}")
        self._deadlocks = await asyncio.to_thread(self.databases.deadlocks)

    async def _calibrate(self, load: Load) -> None:
        """Find the maximum: what is closed while never fewer sales are open than there is room for."""
        began, curve = time.monotonic(), [(0.0, 0)]
        while curve[-1][0] < PRESS_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            closed = await self._closed()
            curve.append((time.monotonic() - began, closed))
            (load.hold if len(load.answered) - closed > OPEN_SALES else load.go_on)()
        load.hold()
        at, closed = next(point for point in curve if point[0] >= RAMP_SECONDS)
        seconds, flows = curve[-1][0] - at, curve[-1][1] - closed
        self.most = flows / seconds
        self.rate = load.rate = self.most * SHARE
        began = time.monotonic()
        left = await drained(self.node.url(), self._ports, len(load.answered))
        if left:
            raise Fallen(f"still waiting after the maximum was found: {left}")
        self.say(
            f"maximum {self.most:.1f} sales/s: {flows} closed in {seconds:.0f} s with {OPEN_SALES} open; "
            f"drained in {time.monotonic() - began:.0f} s"
        )
        load.go_on()

    async def _closed(self) -> int:
        """Effects, not promises: the rows of closed sales."""
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self._ports['till']}/count") as answer:
            return int((await answer.json())["closed"])

    async def _soak(self, load: Load, sampler: Sampler) -> None:
        began, before = time.monotonic(), len(load.answered)
        told = Sample(0.0, {}, {}, 0, {}, {}, before, 0.0, 0.0)
        load.waits.clear()
        count = max(1, round(self.minutes * 60 / SAMPLE_SECONDS))
        async with aiohttp.ClientSession() as http, await aio_pika.connect(self.node.url()) as connection:
            channel = await connection.channel()
            for number in range(1, count + 1):
                await asyncio.sleep(max(0.0, began + number * SAMPLE_SECONDS - time.monotonic()))
                if ended := [name for name, each in self._fleet.items() if not each.alive]:
                    raise Fallen(f"{', '.join(ended)} ended after {time.monotonic() - began:.0f} s")
                waits, load.waits = load.waits, []
                sample = await sampler.take(time.monotonic() - began, len(load.answered), waits, http, channel)
                if not number % SAMPLES_A_LINE or number == count:
                    self.say(line(sample, (sample.sales - told.sales) / (sample.at - told.at)))
                    told = sample
        really = (len(load.answered) - before) / (time.monotonic() - began)
        if really < self.rate * KEPT:
            self.findings.append(f"only {really:.1f} of {self.rate:.1f} sales/s were answered")

    def _memory(self, sampler: Sampler) -> str:
        """Each process's drift, said; the range of all of them."""
        try:
            found = memory.drifts(sampler.curves())
            broker = memory.drift(sampler.broker_curve())
        except ValueError as few:
            self.findings.append(str(few))
            return "not judged"
        for name, each in {**found, "broker": broker}.items():
            self.say(
                f"memory of {name}: {each.first / 2**20:.1f} to {each.last / 2**20:.1f} MiB, {each.percent:+.1f} %"
            )
        self.findings += [
            f"memory of {name} is not flat: {each.percent:+.1f} %" for name, each in found.items() if not each.flat
        ]
        percents = [each.percent for each in found.values()]
        return f"{min(percents):+.1f} % to {max(percents):+.1f} %"

    def _tell(self, verdict: str, sampler: Sampler) -> int:
        logs = {name: each.log for name, each in self._fleet.items()}
        warnings = log_shapes.read(logs)
        repeating = log_shapes.repeating(warnings)
        for name, counted in warnings.items():
            for what, times in counted.most_common(SHOWN):
                self.say(f"{name} said {times} times: {what}")
        for server, log in (("broker", self.node.log), ("database", self.databases.log)):
            for what, times in log_shapes.troubles(log).most_common(SHOWN):
                self.say(f"{server} logged {times} times: {what}")
        self.findings += repeating
        deadlocks = sum(self._deadlocks.values())
        if deadlocks:
            self.findings.append(f"deadlocks: {self._deadlocks}")
        self.say(verdict.strip())
        flat = self._memory(sampler)
        for finding in self.findings:
            self.say(f"FOUND: {finding}")
        figures = VERDICT.search(verdict)
        events, lost, doubled = figures.groups() if figures else ("?", "?", "?")
        of = f"{self.most:.1f}/s" if self.most else "a maximum not looked for"
        self.say(
            f"soak {self.minutes:g} min, rate {self.rate:.1f}/s of {of}, events {events} lost {lost} duplicated "
            f"effects {doubled}, memory {flat}, warnings that repeat {len(repeating)}, deadlocks {deadlocks}"
        )
        return 1 if self.findings else 0
