"""One run: start everything, say sales, kill and disturb by the plan, let it come to rest, have it checked."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from deploy.broker.node import RabbitNode, free_ports
from tests.crash import plan, refused_commits
from tests.crash.databases import Databases
from tests.crash.load import Load
from tests.crash.operator_hands import delete
from tests.crash.plan import Disturbance, Trouble
from tests.crash.process_spawner import CHAIN, ROOT, SEARCH, Nursery
from tests.crash.quiescence import drained
from tests.crash.service_processes import Process, Tally
from tests.faked_clock import FakedClock, library
from tests.tcp_proxy import TcpProxy

#: Seconds that a connection is delayed by, a chunk.
DELAY_SECONDS = 0.05
#: Seconds that a killed broker stays away.
AWAY_SECONDS = 1.0
#: What the world outside writes down, in the run's folder.
JOURNAL = "calls.jsonl"

Say = Callable[[str], None]


@asynccontextmanager
async def world_outside(folder: Path, port: int, seed: int) -> AsyncIterator[int]:
    """The world outside, while this lasts; its journal is in `folder`."""
    with (folder / "outside.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.outside_world", str(port), str(folder / JOURNAL), str(seed),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **SEARCH},
        )  # fmt: skip
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


async def checked(
    folder: Path, node: RabbitNode, databases: Databases, sales: Mapping[str, bool], kills: int
) -> tuple[int, str]:
    """The checker's status and what it said."""
    evidence = folder / "evidence.json"
    found = {
        "broker": node.url(),
        "databases": {name: databases.outside_url(name) for name in plan.SERVICES},
        "journal": str(folder / JOURNAL),
        "sales": dict(sales),
        "kills": kills,
        "refused_every": refused_commits.EVERY,
    }
    evidence.write_text(json.dumps(found), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.checker", str(evidence), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return process.returncode or 0, said.decode()


@dataclass(slots=True)
class Run:
    """One seed against one store. `rate` is in sales a second."""

    modules: ClassVar[tuple[str, str]] = CHAIN
    seed: int
    kills: int
    rate: float
    folder: Path
    node: RabbitNode
    databases: Databases
    say: Say
    proxies: dict[str, TcpProxy] = field(default_factory=dict)
    nurseries: dict[str, Nursery] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    _verdict: str = ""

    async def run(self) -> int:
        """The checker's status, or 1 where the run itself found something."""
        began = time.monotonic()
        tally = Tally(self.kills)
        ports = dict(zip((*plan.SERVICES, "outside"), free_ports(len(plan.SERVICES) + 1), strict=True))
        await asyncio.to_thread(self.node.start)
        await asyncio.to_thread(self.databases.start)
        async with world_outside(self.folder, ports.pop("outside"), self.seed) as outside, self._proxied():
            self.nurseries = {name: self._nursery(name) for name in ports}
            for nursery in self.nurseries.values():
                await nursery.start()
            fleet = [self._process(name, port, outside, tally, self.nurseries[name]) for name, port in ports.items()]
            load = Load([f"http://127.0.0.1:{ports['till']}"], plan.sales(self.seed), self.rate)
            try:
                await self._furnish(fleet)
                left = await self._story(fleet, load, tally, ports)
                for each in fleet:
                    await each.stop()
            finally:
                for nursery in self.nurseries.values():
                    await nursery.stop()
            status = await self._check(load, tally)
        self._tell(tally, left, time.monotonic() - began)
        return 1 if left or tally.fallen else status

    def _nursery(self, name: str) -> Nursery:
        """A launcher for the lives of one service, whose clock is its own."""
        clock = FakedClock(self.folder / f"{name}.clock") if library() is not None else None
        return Nursery(self.folder / f"launcher-{name}.log", clock, self.modules)

    async def _furnish(self, fleet: list[Process]) -> None:
        """Let every queue be declared: an event is for those who have heard of its kind before it is said."""
        for each in fleet:
            await each.start()
            await each.ready()
            await each.stop()

    async def _story(self, fleet: list[Process], load: Load, tally: Tally, ports: dict[str, int]) -> str:
        async with asyncio.TaskGroup() as tasks:
            disturbing = tasks.create_task(self._disturb())
            living = [tasks.create_task(each.live(plan.lives(self.seed, each.name))) for each in fleet]
            customers = tasks.create_task(load.run())
            while not tally.enough.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(30.0):
                        await tally.enough.wait()
                self.say(f"seed {self.seed}: {tally.kills} kills, {len(load.answered)} sales answered")
            disturbing.cancel()
            await asyncio.gather(disturbing, return_exceptions=True)
            for proxy in self.proxies.values():
                proxy.heal()
            for nursery in self.nurseries.values():
                if nursery.clock is not None:
                    nursery.clock.jump("+0")
            await asyncio.to_thread(self.node.start)
            await asyncio.to_thread(self.databases.start)
            await asyncio.gather(*living)
            load.stop()
            for each in fleet:
                await each.start()
            await customers
        return await drained(self.node.url(), ports, len(load.answered))

    async def _disturb(self) -> None:
        clocks = library() is not None
        if not clocks:
            self.say("libfaketime is not installed: no clock jumps in this run; apt-get install faketime brings it")
        for each in plan.disturbances(self.seed, database=self.databases.server, clocks=clocks):
            await asyncio.sleep(each.peace)
            self.troubles[each.trouble] = self.troubles.get(each.trouble, 0) + 1
            await self._do(each)

    async def _do(self, each: Disturbance) -> None:
        proxy = self.proxies[each.service]
        match each.trouble:
            case Trouble.CUT:
                proxy.cut()
            case Trouble.DELAY:
                proxy.delay(DELAY_SECONDS)
                await asyncio.sleep(each.seconds)
                proxy.heal()
            case Trouble.FREEZE:
                proxy.freeze()
                await asyncio.sleep(each.seconds)
                proxy.heal()
            case Trouble.BROKER_KILLED | Trouble.BROKER_RESTARTED:
                end = self.node.kill if each.trouble is Trouble.BROKER_KILLED else self.node.stop
                await asyncio.to_thread(end)
                await asyncio.sleep(AWAY_SECONDS)
                await asyncio.to_thread(self.node.start)
            case Trouble.CLOCK_JUMPED:
                clock = self.nurseries[each.service].clock
                assert clock is not None, "a plan without clocks has no jumps"
                clock.jump(each.jump)
                await asyncio.sleep(each.seconds)
                clock.jump("+0")
            case Trouble.OPERATOR:
                await delete(self.node.url(), each.deletions)
            case Trouble.DATABASE_STOPPED:
                await asyncio.to_thread(self.databases.stop)
                await asyncio.sleep(AWAY_SECONDS)
                await asyncio.to_thread(self.databases.start)

    def _process(self, name: str, port: int, outside: int, tally: Tally, nursery: Nursery) -> Process:
        environment = {
            "HOCKET_BROKER_URL": self.node.url().replace(f":{self.node.port}/", f":{self.proxies[name].port}/"),
            "HOCKET_DATABASE_URL": self.databases.url_template(),
            "HOCKET_LOG_LEVEL": "WARNING",
            "CRASH_OUTSIDE_URL": f"http://127.0.0.1:{outside}",
            refused_commits.VARIABLE: str(refused_commits.EVERY),
        }
        return Process(name, port, self.folder / f"{name}.log", environment, tally, nursery)

    @asynccontextmanager
    async def _proxied(self) -> AsyncIterator[None]:
        for name in plan.SERVICES:
            proxy = self.proxies[name] = TcpProxy(self.node.port)
            await proxy.up()
        try:
            yield
        finally:
            for proxy in self.proxies.values():
                await proxy.stop()

    async def _check(self, load: Load, tally: Tally) -> int:
        status, self._verdict = await checked(self.folder, self.node, self.databases, load.answered, tally.kills)
        return status

    def _tell(self, tally: Tally, left: str, seconds: float) -> None:
        self.say("killed: " + ", ".join(f"{where} {times}" for where, times in sorted(tally.at.items())))
        if tally.missed:
            self.say("not reached: " + ", ".join(f"{where} {times}" for where, times in sorted(tally.missed.items())))
        self.say("disturbed: " + ", ".join(f"{what} {times}" for what, times in sorted(self.troubles.items())))
        for fallen in tally.fallen:
            self.say(f"fallen: {fallen}")
        if left:
            self.say(f"still waiting at the end: {left}")
        self.say(f"seed {self.seed}, {self.databases.name}, {seconds:.0f} s")
        self.say(self._verdict.strip())
