"""Where the services run; here each in a process of its own. `in_one` has the stage of `memory://`."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from deploy.demo.place import PORTS, Place, StepFailed
from deploy.demo.progress import Told
from deploy.demo.world import World
from hocket.broker.port import Transport
from hocket.broker.rabbitmq import RabbitTransport
from hocket.telemetry import logs

#: Seconds within which a service must be ready, and must have ended after it was asked to.
READY_SECONDS = 120.0
STOP_SECONDS = 20.0

#: Ends every process group that it was told of when its standard input ends: when this process ends, however it does.
GUARD = 'while read -r pid; do all="$all -$pid"; done; [ -n "$all" ] && kill -s KILL -- $all 2>/dev/null'


class Stage(Protocol):
    """Runs the services of the demo."""

    async def start(self, service: str) -> None:
        """Start one service; returns before it is ready. `StepFailed` where it cannot begin."""
        ...

    async def stop(self, service: str) -> None:
        """Stop one in order."""
        ...

    async def kill(self, service: str) -> None:
        """End one as SIGKILL does."""
        ...

    async def close(self) -> None:
        """End all; nothing is left."""
        ...

    def fallen(self) -> str:
        """The sentence about a service that ended by itself; "" where none has."""
        ...

    def transport(self) -> AbstractAsyncContextManager[Transport]:
        """A way to the broker that is no service's."""
        ...


async def begin(stage: Stage, world: World, told: Told) -> None:
    """Start the outside world, then everything else, and wait until all is ready."""
    first, *others = PORTS
    told.say("Starting the services …")
    await stage.start(first)
    await ready(stage, world, first)
    for service in others:
        await stage.start(service)
    for service in others:
        await ready(stage, world, service)
    told.say(f"All {len(PORTS)} services are ready.")


async def ready(stage: Stage, world: World, service: str) -> None:
    """Wait until a service is ready. `StepFailed` says which is not, why, and where its log is."""
    waiting = asyncio.ensure_future(world.ready(service, READY_SECONDS))
    try:
        while not waiting.done():
            if why := stage.fallen():
                raise StepFailed(f"The step 'start {service}' failed: {why}.")
            await asyncio.wait([waiting], timeout=0.2)
        if why := waiting.result():
            raise StepFailed(
                f"The step 'start {service}' failed: not ready after {READY_SECONDS:.0f} s ({why}); "
                f"{world.log_of(service)}."
            )
    finally:
        waiting.cancel()


class Processes:
    """Each service in a process and a process group of its own."""

    def __init__(self, place: Place, broker_url: str, sabotage: str = "") -> None:
        self._place = place
        self._broker_url = broker_url
        self._sabotage = sabotage
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._guard = subprocess.Popen(["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True)

    async def start(self, service: str) -> None:
        """See `Stage`."""
        target = f"services.{service}:{self._place.port(service)}"
        program = ["deploy.demo.sabotage", self._sabotage, target] if self._sabotage else ["hocket.cli", "run", target]
        with self._place.log(service).open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    *program,
                    cwd=self._place.root,
                    env={**os.environ, **self._place.environment(self._broker_url)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as failed:
                raise StepFailed(f"The step 'start {service}' failed: {failed}.") from failed
        self._running[service] = process
        if self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.write(f"{process.pid}\n".encode())
                self._guard.stdin.flush()

    async def stop(self, service: str) -> None:
        """See `Stage`."""
        await self._end(self._running.pop(service), signal.SIGTERM)

    async def kill(self, service: str) -> None:
        """See `Stage`."""
        await self._end(self._running.pop(service), signal.SIGKILL)

    async def close(self) -> None:
        """See `Stage`."""
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*(self._end(each, signal.SIGTERM) for each in running))
        self._guard.kill()
        if self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
        self._guard.wait()

    def fallen(self) -> str:
        """See `Stage`."""
        for service, process in self._running.items():
            if process.returncode is not None:
                log = self._place.log(service)
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                last = f" ({lines[-1][:300]})" if lines else ""
                where = f"its log is {self._place.shown(log)}"
                return f"{service} ended by itself with status {process.returncode}{last}; {where}"
        return ""

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[Transport]:
        """See `Stage`."""
        logs.quiet()  # the demo breaks connections on purpose
        transport = RabbitTransport(self._broker_url, "demo")
        await transport.open()
        try:
            await transport.until_ready()
            yield transport
        finally:
            await transport.close()

    @staticmethod
    async def _end(process: asyncio.subprocess.Process, word: signal.Signals) -> None:
        """Ask the process to end; what of its group is left after the bound is killed."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(word)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
