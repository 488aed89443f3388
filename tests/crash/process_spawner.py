"""Starts lives by way of the launcher, and hears of their ends."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faked_clock import FakedClock

ROOT = Path(__file__).resolve().parents[2]
#: What a process of a run needs to find this tree.
SEARCH = {"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}

#: The modules of the crash run: its services, and where they can be told to end themselves.
CHAIN = ("tests.crash.services", "tests.crash.crash_points")


@dataclass(slots=True)
class Child:
    """One process; `status` as `subprocess` has it, None while it lives."""

    pid: int = 0
    status: int | None = None
    born: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, word: signal.Signals) -> None:
        """Send a signal, where it still lives."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, word)

    async def end(self, seconds: float) -> bool:
        """Wait for its end, at most so long; whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.status is not None


class Nursery:
    """One launcher and its children, which run the services of one module with the boundaries of another."""

    def __init__(self, log: Path, clock: FakedClock | None = None, modules: tuple[str, str] = CHAIN) -> None:
        self._log = log
        self._modules = modules
        self.clock = clock  # of all its children
        self._numbers = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the launcher."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.crash.fork_server", *self._modules, cwd=ROOT, env=self._environment(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._listener = asyncio.create_task(self._listen(self._process))

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **SEARCH, **(self.clock.environment() if self.clock is not None else {})}

    async def bear(
        self, service: str, port: int, fuse: Sequence[str | int], log: Path, environment: Mapping[str, str]
    ) -> Child:
        """Start one life."""
        assert self._process is not None
        assert self._process.stdin is not None
        number, child = next(self._numbers), Child()
        self._children[number] = child
        order = {
            "life": number, "service": service, "port": port, "fuse": list(fuse), "log": str(log),
            "environment": dict(environment),
        }  # fmt: skip
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        await child.born.wait()
        return child

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            said = json.loads(line)
            child = self._children[said["life"]]
            if "pid" in said:
                child.pid = said["pid"]
                child.born.set()
            else:
                child.status = said["status"]
                child.ended.set()
                del self._children[said["life"]]

    async def stop(self) -> None:
        """End the launcher and with it every life that is left."""
        for child in list(self._children.values()):
            child.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
        if self._listener is not None:
            self._listener.cancel()
