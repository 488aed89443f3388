"""One run: start everything, say what happens to accounts, kill and disturb by the plan, let it come to rest, judge."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import aio_pika
import aiohttp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.broker.node import free_ports
from tests.crash import plan
from tests.crash.checker import Seen, read_log
from tests.crash.ordering.judge import Books, judge
from tests.crash.ordering.load import Accounts
from tests.crash.ordering.person import Person
from tests.crash.ordering.services import QUEUES, SABOTAGE, is_poison
from tests.crash.process_spawner import Nursery
from tests.crash.quiescence import ANSWER_SECONDS, GIVE_UP_SECONDS, LOOK_SECONDS, WAITING
from tests.crash.run import JOURNAL, Run, world_outside
from tests.crash.service_processes import Process, Tally
from tests.faked_clock import library
from tests.tcp_proxy import TcpProxy

#: Accounts, and processes of clerk where there is a server of databases.
ACCOUNTS, REPLICAS = 10, 3
#: Looks in a row that must find nothing.
CALM_LOOKS = 4


@dataclass(slots=True)
class OrderedRun(Run):
    """One seed against one store; `rate` is in events a second. With `sabotage` the verdict must be red."""

    modules: ClassVar[tuple[str, str]] = ("tests.crash.ordering.services", "tests.crash.crash_points")
    sabotage: str = ""
    _fleet: dict[str, Process] = field(default_factory=dict)

    async def run(self) -> int:
        """0 where the order was kept, nothing lost and nothing doubled."""
        began, tally = time.monotonic(), Tally(self.kills)
        many = REPLICAS if self.databases.server else 1
        names = {"teller": "teller"} | {f"clerk-{n}": "clerk" for n in range(1, many + 1)}
        *ports, outside = free_ports(len(names) + 1)
        await asyncio.to_thread(self.node.start)
        await asyncio.to_thread(self.databases.start)
        async with world_outside(self.folder, outside, self.seed), self._between(tuple(names)), self._launchers():
            for (name, service), port in zip(names.items(), ports, strict=True):
                self._fleet[name] = self._replica(name, service, port, outside, tally)
            await self._furnish([self._fleet["teller"], self._fleet["clerk-1"]])
            accounts = Accounts(f"http://127.0.0.1:{ports[0]}", self.seed, ACCOUNTS, self.rate)
            person = Person(self.node.url(), f"http://127.0.0.1:{outside}")
            left = await self._tale(accounts, person, tally)
            for each in self._fleet.values():
                await each.stop()
            verdict = judge(accounts.said, await self._books(person), tally.kills)
        self._verdict = "\n".join(verdict.lines())
        self._tell(tally, left, time.monotonic() - began)
        return int(bool(left or tally.fallen or not verdict.clean))

    @asynccontextmanager
    async def _between(self, names: tuple[str, ...]) -> AsyncIterator[None]:
        for name in names:
            self.proxies[name] = TcpProxy(self.node.port)
            await self.proxies[name].up()
        try:
            yield
        finally:
            for proxy in self.proxies.values():
                await proxy.stop()

    @asynccontextmanager
    async def _launchers(self) -> AsyncIterator[None]:
        self.nurseries = {name: self._nursery(name) for name in self.proxies}
        try:
            for nursery in self.nurseries.values():
                await nursery.start()
            yield
        finally:
            for nursery in self.nurseries.values():
                await nursery.stop()

    def _replica(self, name: str, service: str, port: int, outside: int, tally: Tally) -> Process:
        environment = {
            "HOCKET_BROKER_URL": self.node.url().replace(f":{self.node.port}/", f":{self.proxies[name].port}/"),
            "HOCKET_DATABASE_URL": self.databases.url_template(),
            "HOCKET_LOG_LEVEL": "WARNING",
            "CRASH_OUTSIDE_URL": f"http://127.0.0.1:{outside}",
            SABOTAGE: self.sabotage if service == "clerk" else "",
        }
        nursery: Nursery = self.nurseries[name]
        return Process(service, port, self.folder / f"{name}.log", environment, tally, nursery)

    async def _tale(self, accounts: Accounts, person: Person, tally: Tally) -> str:
        async with asyncio.TaskGroup() as tasks:
            desk = tasks.create_task(person.live())
            disturbing = tasks.create_task(self._trouble())
            living = [
                tasks.create_task(each.live(plan.lives(self.seed * 10 + n, each.name)))
                for n, each in enumerate(self._fleet.values())
            ]
            customers = tasks.create_task(accounts.run())
            while not tally.enough.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(30.0):
                        await tally.enough.wait()
                self.say(
                    f"seed {self.seed}: {tally.kills} kills, {accounts.count} events, {len(person.letters)} letters"
                )
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
            accounts.stop()
            for each in self._fleet.values():
                await each.start()
            await customers
            left = await self._rest(accounts)
            desk.cancel()
        return left

    async def _trouble(self) -> None:
        """The plan's faults, without the operator: what the log gives back late has no order (RULES 4.8)."""
        for each in plan.disturbances(
            self.seed, database=self.databases.server, clocks=library() is not None, operator=False,
            services=tuple(self.proxies),
        ):  # fmt: skip
            await asyncio.sleep(each.peace)
            self.troubles[each.trouble] = self.troubles.get(each.trouble, 0) + 1
            await self._do(each)

    async def _rest(self, accounts: Accounts) -> str:
        """Wait until nothing moves any more; "" when it came to that, else what still waited."""
        end, calm, left = time.monotonic() + GIVE_UP_SECONDS, 0, "everything"
        while calm < CALM_LOOKS:
            if time.monotonic() > end:
                return left or "nothing, but not for long enough"
            try:
                async with asyncio.timeout(3 * ANSWER_SECONDS):
                    left = await self._moving(accounts)
            except (aiohttp.ClientError, TimeoutError, OSError, aio_pika.exceptions.AMQPError) as error:
                left = f"an answer: {error!r}"
            calm = 0 if left else calm + 1
            await asyncio.sleep(LOOK_SECONDS)
        return ""

    async def _moving(self, accounts: Accounts) -> str:
        left: list[str] = []
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
            for name, each in self._fleet.items():
                async with http.get(f"http://127.0.0.1:{each.port}/metrics") as answer:
                    left += [
                        f"{name} {what} {many}" for what, many in WAITING.findall(await answer.text()) if float(many)
                    ]
                async with http.get(f"http://127.0.0.1:{each.port}/health/ready") as answer:
                    left += [] if answer.status == 200 else [f"{name} {await answer.text()}"]
            async with http.get(f"http://127.0.0.1:{self._fleet['clerk-1'].port}/count") as answer:
                counted = await answer.json()
        for what in ("hold", "leave"):
            due = sum(what == "hold" or not is_poison(sale, what) for some in accounts.said.values() for sale in some)
            if counted.get(what, 0) < due:
                left.append(f"{due - counted.get(what, 0)} of {due} to {what}")
        async with await aio_pika.connect(self.node.url()) as connection:
            channel = await connection.channel()
            for queue in QUEUES.values():
                found = await channel.declare_queue(queue, passive=True)
                if found.declaration_result.message_count:
                    left.append(f"{found.declaration_result.message_count} in {queue}")
        return "; ".join(left)

    async def _books(self, person: Person) -> Books:
        await person.look()
        seen = Seen()
        await read_log(self.node.url(), seen)
        journal = [json.loads(line) for line in (self.folder / JOURNAL).read_text(encoding="utf-8").splitlines()]
        engine = create_async_engine(self.databases.outside_url("clerk").replace("sqlite:", "sqlite+aiosqlite:", 1))
        try:
            async with engine.connect() as connection:
                rows = (await connection.execute(text("SELECT sale, what FROM effects ORDER BY n"))).all()
        finally:
            await engine.dispose()
        return Books(
            calls=[(each["what"], each["sale"], each["key"]) for each in journal],
            effects=[(row[0], row[1]) for row in rows],
            kept={sale: len(set(ids)) for (sale, type), ids in seen.events.items() if type == "account.kept"},
            letters=list(person.letters.values()),
            taken=[sale for sale, type in seen.events if type == "account.booked"],
        )
