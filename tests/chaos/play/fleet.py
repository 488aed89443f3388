"""The processes of the shop: each replica started, killed, paused, its clock moved, started again."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from deploy.demo.stage import GUARD
from tests.chaos.play.site import Site, service_of
from tests.chaos.shop import TEAMS
from tests.faked_clock import FakedClock

#: Seconds that an orderly stop may take: longer than the kit's own bound, after which it says what did not stop.
STOP_SECONDS = 75.0
#: Seconds for the stacks of all threads, which a process that hangs is made to write into its log.
DUMP_SECONDS = 5.0


@dataclass(slots=True)
class Replica:
    """One replica and the process that it has just now."""

    name: str
    clock: FakedClock | None
    process: asyncio.subprocess.Process | None = None
    hand: asyncio.Lock = field(default_factory=asyncio.Lock)  # of whoever does something to it


class Fleet:
    """Every process of one run; `fallen` tells of those that ended although nobody ended them."""

    def __init__(self, site: Site, broker_url: str, *, clocks: bool, sabotage: str = "") -> None:
        self._site = site
        self._broker_url = broker_url
        self._program = ["deploy.demo.sabotage", sabotage] if sabotage else ["hocket.cli", "run"]
        self._guard = subprocess.Popen(["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True)
        self.fallen: list[str] = []
        self._replicas = {
            name: Replica(name, self._clock(name) if clocks and service_of(name) in TEAMS else None)
            for name in site.ports
        }

    def _clock(self, name: str) -> FakedClock:
        return FakedClock(self._site.folder / "clocks" / name)

    async def start(self, name: str, fuse: Sequence[str] = ()) -> None:
        """Start one, with a fuse where there is one (boundary, passes); returns before it is ready."""
        replica = self._replicas[name]
        program = ["tests.chaos.play.with_fuse", *fuse] if fuse else self._program
        target = f"services.{service_of(name)}:{self._site.port(name)}"
        with self._site.log(name).open("ab") as log:
            replica.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *program, target, cwd=self._site.root, env=self._environment(replica),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{replica.process.pid}\n".encode())
        self._guard.stdin.flush()

    def _environment(self, replica: Replica) -> Mapping[str, str]:
        told = self._site.environment if service_of(replica.name) in TEAMS else self._site.watcher_environment
        clock = replica.clock.environment() if replica.clock is not None else {}
        return {**os.environ, "PYTHONFAULTHANDLER": "1", **told(self._broker_url), **clock}

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Replica]:
        """One replica for whoever does something to its process; one at a time."""
        replica = self._replicas[name]
        async with replica.hand:
            yield replica

    async def kill(self, name: str, away: float) -> None:
        """End one as SIGKILL does, and start it again after so many seconds."""
        async with self.held(name) as replica:
            await self._kill(replica)
            await asyncio.sleep(away)
            await self.start(name)

    @asynccontextmanager
    async def away(self, service: str) -> AsyncIterator[None]:
        """All replicas of a service are killed, and started again at the end."""
        names = sorted(name for name in self._replicas if service_of(name) == service)
        async with AsyncExitStack() as hands:
            replicas = [await hands.enter_async_context(self.held(name)) for name in names]
            for replica in replicas:
                await self._kill(replica)
            yield
            for replica in replicas:
                await self.start(replica.name)

    async def end_at(self, name: str, point: str, passes: int, seconds: float) -> bool:
        """End one at a boundary; whether it came there within so many seconds: else it is killed all the same."""
        async with self.held(name) as replica:
            await self._kill(replica)
            await self.start(name, (point, str(passes)))
            assert replica.process is not None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await replica.process.wait()
            there = replica.process.returncode == -signal.SIGKILL
            if there:
                replica.process = None
            await self._kill(replica)
            await self.start(name)
            return there

    async def pause(self, name: str, seconds: float) -> None:
        """Stop one's whole process for so long; it goes on where it was."""
        async with self.held(name) as replica:
            process = replica.process
            assert process is not None
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    process.send_signal(signal.SIGCONT)

    def step(self, name: str, offset: str) -> None:
        """Move one's wall clock: so far off the right time."""
        clock = self._replicas[name].clock
        assert clock is not None, "a plan without clocks steps none"
        clock.jump(offset)

    async def mend(self) -> None:
        """Put every clock right and start what does not run."""
        for replica in self._replicas.values():
            if replica.clock is not None:
                replica.clock.jump("+0")
            async with replica.hand:
                self._note(replica)
                if replica.process is None:
                    await self.start(replica.name)

    async def close(self) -> None:
        """Stop all in order; what does not end within the bound is killed and told of."""
        await asyncio.gather(*(self._stop(each) for each in self._replicas.values()))
        self._guard.kill()
        if self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
        self._guard.wait()

    async def _stop(self, replica: Replica) -> None:
        self._note(replica)
        process, replica.process = replica.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        if process.returncode != 0:
            self.fallen.append(f"{replica.name} did not stop in order: status {process.returncode}")
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.send_signal(signal.SIGABRT)
            async with asyncio.timeout(DUMP_SECONDS):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _kill(self, replica: Replica) -> None:
        """End its process, if it has one; a process that has ended by itself is remembered."""
        self._note(replica)
        process, replica.process = replica.process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _note(self, replica: Replica) -> None:
        """Remember a process that ended by itself, with the last line it said, and forget the process."""
        process = replica.process
        if process is None or process.returncode is None:
            return
        lines = self._site.log(replica.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1][:300] if lines else "it said nothing"
        self.fallen.append(f"{replica.name} ended by itself with status {process.returncode}: {last}")
        replica.process = None
