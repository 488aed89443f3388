"""Lets a plan happen: each lane act by act, all lanes side by side, while customers shop."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from deploy.broker.node import RabbitNode
from deploy.demo.place import StepFailed
from deploy.demo.world import World
from tests.chaos.plan import MODES, Act, Do, Plan
from tests.chaos.play.fleet import Fleet
from tests.chaos.play.hands import Hands, queues
from tests.chaos.play.site import Site, replica_of

#: Seconds that one command of an operator may take.
COMMAND_SECONDS = 60.0
#: Seconds by which a breaker is held longer than the plan says, so that it is a person who closes it.
LONGER_SECONDS = 60


@dataclass(slots=True)
class Runner:
    """Does what the plan says."""

    plan: Plan
    site: Site
    node: RabbitNode
    fleet: Fleet
    world: World
    hands: Hands
    broker_url: str
    done: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)  # commands that an operator was not answered
    held: set[tuple[str, str]] = field(default_factory=set)  # service and breaker: opened by hand, not closed since
    _broker: asyncio.Lock = field(default_factory=asyncio.Lock)  # of whoever needs it to stay as it is

    async def run(self) -> None:
        """Everything, to the end of the plan's time."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for lane in self.plan.lanes:
                tasks.create_task(self._lane(lane, begun))
            tasks.create_task(asyncio.sleep(self.plan.seconds))

    async def _lane(self, lane: tuple[Act, ...], begun: float) -> None:
        loop = asyncio.get_running_loop()
        for act in lane:
            await asyncio.sleep(max(0.0, begun + act.at - loop.time()))
            if loop.time() > begun + self.plan.seconds:
                return
            self.done[act.do] += 1
            await self._acts[act.do](act)

    @property
    def _acts(self) -> Mapping[Do, Callable[[Act], Awaitable[None]]]:
        return {
            Do.FAULT: self._fault,
            Do.KILL: self._kill,
            Do.FUSE: self._end_at,
            Do.PAUSE: self._pause,
            Do.LONG_PAUSE: self._pause,
            Do.CLOCK: self._step,
            Do.BROKER_STOP: self._end_broker,
            Do.BROKER_KILL: self._end_broker,
            Do.DOUBLE: self._double,
            Do.REORDER: self._reorder,
            Do.HOLD: self._hold,
        }

    async def _fault(self, act: Act) -> None:
        await self.world.fault(act.who, act.what, seconds=act.seconds, **MODES[act.what])
        await asyncio.sleep(act.seconds)

    async def _kill(self, act: Act) -> None:
        await self.fleet.kill(replica_of(act.who, act.replica), act.seconds)

    async def _end_at(self, act: Act) -> None:
        if not await self.fleet.end_at(replica_of(act.who, act.replica), act.what, act.number, act.seconds):
            self.done["boundary not reached"] += 1

    async def _pause(self, act: Act) -> None:
        await self.fleet.pause(replica_of(act.who, act.replica), act.seconds)

    async def _step(self, act: Act) -> None:
        name = replica_of(act.who, act.replica)
        self.fleet.step(name, act.what)
        await asyncio.sleep(act.seconds)
        self.fleet.step(name, "+0")

    async def _end_broker(self, act: Act) -> None:
        async with self._broker:
            await asyncio.to_thread(self.node.kill if act.do is Do.BROKER_KILL else self.node.stop)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(self.node.start)

    async def _double(self, act: Act) -> None:
        async with self._broker:
            await self.hands.double(random.Random(act.what), act.number)

    async def _reorder(self, act: Act) -> None:
        async with self.fleet.away(act.who):
            await asyncio.sleep(act.seconds)
            async with self._broker:
                await self.hands.reorder(random.Random(act.what), act.number, queues(act.who))

    async def _hold(self, act: Act) -> None:
        await self.operate(act.who, "open", act.what, "--for", f"{int(act.seconds) + LONGER_SECONDS}s")
        await asyncio.sleep(act.seconds)
        if not await self.operate(act.who, "close", act.what):
            self.held.add((act.who, act.what))

    async def operate(self, service: str, word: str, breaker: str, *more: str) -> bool:
        """`hocket breaker open` or `close`, as an operator gives it; whether it was done."""
        words = ["breaker", word, f"services.{service}", breaker, "--reason", "chaos", *more]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hocket.cli", *words, cwd=self.site.root,
            env={**os.environ, **self.site.environment(self.broker_url)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                said, _ = await process.communicate()
        except TimeoutError:
            said = f"no answer within {COMMAND_SECONDS:.0f} s".encode()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode:
            self.refused.append(f"{service} {breaker} {word}: {said.decode(errors='replace').strip()[-300:]}")
        return not process.returncode

    async def mend(self) -> None:
        """Take away every fault, start the broker and whatever does not run, close what was held by hand."""
        async with self._broker:
            await asyncio.to_thread(self.node.start)
        await self.fleet.mend()
        for tried in range(3):
            try:
                await self.world.ask("DELETE", "sandbox", "/faults")
            except StepFailed:
                if tried == 2:
                    raise
