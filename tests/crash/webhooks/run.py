"""One run: start everything, push, kill and disturb by the plan, let it come to rest, have it checked."""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.broker.node import BrokerFailed, RabbitNode, free_ports
from deploy.database.server import DatabaseFailed
from deploy.demo.webhooks.signing import Secrets
from tests.crash.databases import Databases, PostgresDatabases
from tests.crash.process_spawner import ROOT, Nursery
from tests.crash.quiescence import CALM_LOOKS, calm, queued, waiting
from tests.crash.service_processes import Process, Tally
from tests.crash.webhooks import plan
from tests.crash.webhooks.plan import INGRESS, SUBSCRIBERS, Delivery, Disturbance, Trouble
from tests.crash.webhooks.senders import Senders
from tests.crash.webhooks.signing import environment

MODULES = ("tests.crash.webhooks.services", "tests.crash.webhooks.crash_points")
QUEUES = ("billing.bill", "stock.count")
#: Seconds between two lines of progress.
PROGRESS_SECONDS = 30.0
#: Tries, a second apart, until what was killed starts: the backends of a database must have ended.
START_TRIES = 20

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """One seed against one store, with so many replicas of ingress. `rate` is in deliveries a second.

    `broker` is an address on `node`. Without `disturbed` nothing is killed but ingress. `looks` is how many seconds
    nothing may move until it is over.
    """

    seed: int
    kills: int
    events: int
    rate: float
    replicas: int
    folder: Path
    node: RabbitNode
    broker: str
    databases: Databases
    say: Say
    sabotage: str = ""
    disturbed: bool = True
    looks: int = CALM_LOOKS
    troubles: Counter[str] = field(default_factory=Counter)
    verdict: str = ""
    _secrets: Secrets = field(default_factory=Secrets)

    async def run(self) -> int:
        """The checker's status, or 1 where the run itself found something."""
        began = time.monotonic()
        tally = Tally(self.kills)
        fleet: list[Process] = []
        nurseries: list[Nursery] = []
        names = [INGRESS] * self.replicas + list(SUBSCRIBERS)
        for number, (name, port) in enumerate(zip(names, free_ports(len(names)), strict=True)):
            nursery = Nursery(self.folder / f"launcher-{name}-{number}.log", modules=MODULES)
            nurseries.append(nursery)
            fleet.append(self._process(name, number, port, tally, nursery))
        deliveries = plan.deliveries(self.seed, self.events)
        urls = [f"http://127.0.0.1:{each.port}" for each in fleet[: self.replicas]]
        senders = Senders(urls, deliveries, self._secrets, self.rate, tally, self.seed)
        try:
            for nursery in nurseries:
                await nursery.start()
            await self._furnish(fleet)
            left = await self._story(fleet, senders, tally)
            for each in fleet:
                await each.stop()
        finally:
            for nursery in nurseries:
                await nursery.stop()
        seconds = time.monotonic() - began
        status, self.verdict = await self._checked(deliveries, senders, tally)
        self._tell(tally, left, seconds)
        return 1 if left or tally.fallen else status

    def _process(self, name: str, number: int, port: int, tally: Tally, nursery: Nursery) -> Process:
        surroundings = {
            "HOCKET_BROKER_URL": self.broker,
            "HOCKET_DATABASE_URL": self.databases.url_template(),
            "HOCKET_LOG_LEVEL": "WARNING",
            "CRASH_HOOKS_SABOTAGE": self.sabotage,
            **environment(self._secrets),
        }
        return Process(name, port, self.folder / f"{name}-{number}.log", surroundings, tally, nursery)

    async def _furnish(self, fleet: Sequence[Process]) -> None:
        """Let every queue be declared: an event is for those who have heard of its kind before it is said."""
        for each in fleet:
            await each.start()
            await each.ready()
            await each.stop()

    async def _story(self, fleet: Sequence[Process], senders: Senders, tally: Tally) -> str:
        mortal = fleet if self.disturbed else fleet[: self.replicas]
        for each in fleet[len(mortal) :]:
            await each.start()
        async with asyncio.TaskGroup() as tasks:
            disturbing = tasks.create_task(self._disturb())
            living = [
                tasks.create_task(each.live(plan.lives(self.seed, each.name, number)))
                for number, each in enumerate(mortal)
            ]
            pushing = tasks.create_task(senders.run())
            progress = tasks.create_task(self._progress(senders, tally))
            await tally.enough.wait()
            disturbing.cancel()
            await asyncio.gather(disturbing, return_exceptions=True)
            await self._restore()
            await asyncio.gather(*living)
            for each in mortal:
                await each.start()
            await pushing
            progress.cancel()
        ports = {f"{each.name} {each.port}": each.port for each in fleet}

        async def look() -> str:
            return "; ".join(await waiting(ports) + await queued(self.broker, QUEUES))

        return await calm(look, self.looks)

    async def _progress(self, senders: Senders, tally: Tally) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self.say(f"seed {self.seed}: {tally.kills} kills, {senders.begun} deliveries begun")

    async def _disturb(self) -> None:
        if not self.disturbed:
            return
        for each in plan.disturbances(self.seed, database=self.databases.server):
            await asyncio.sleep(each.peace)
            self.troubles[each.trouble] += 1
            await self._do(each)

    async def _do(self, each: Disturbance) -> None:
        match each.trouble:
            case Trouble.BROKER:
                await asyncio.to_thread(self.node.kill)
            case Trouble.DATABASE:
                assert isinstance(self.databases, PostgresDatabases), "a plan without a server kills none"
                await asyncio.to_thread(self.databases.kill)
        await asyncio.sleep(each.away)
        await self._restore()

    async def _restore(self) -> None:
        """Start what was killed."""
        for left in reversed(range(START_TRIES)):
            try:
                await asyncio.to_thread(self.node.start)
                await asyncio.to_thread(self.databases.start)
            except (BrokerFailed, DatabaseFailed):
                if not left:
                    raise
                await asyncio.sleep(1.0)
            else:
                return

    async def _checked(self, deliveries: Sequence[Delivery], senders: Senders, tally: Tally) -> tuple[int, str]:
        """The checker's status and what it said."""
        evidence = self.folder / "evidence.json"
        found = {
            "broker": self.broker,
            "databases": {name: self.databases.outside_url(name) for name in (INGRESS, *SUBSCRIBERS)},
            "due": {each.number: each.due for each in deliveries},
            "answers": [each.written() for each in senders.answers],
            "kills": tally.kills,
        }
        evidence.write_text(json.dumps(found), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.webhooks.checker", str(evidence), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return process.returncode or 0, said.decode()

    def _tell(self, tally: Tally, left: str, seconds: float) -> None:
        self.say("killed: " + ", ".join(f"{where} {times}" for where, times in sorted(tally.at.items())))
        if tally.missed:
            self.say("not reached: " + ", ".join(f"{where} {times}" for where, times in sorted(tally.missed.items())))
        if self.troubles:
            self.say("killed around: " + ", ".join(f"{what} {times}" for what, times in sorted(self.troubles.items())))
        for fallen in tally.fallen:
            self.say(f"fallen: {fallen}")
        if left:
            self.say(f"still waiting at the end: {left}")
        self.say(f"seed {self.seed}, {self.databases.name}, replicas of ingress {self.replicas}, {seconds:.0f} s")
        self.say(self.verdict.strip())
