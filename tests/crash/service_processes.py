"""The services of a run: each in a process of its own that lives its planned lives."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.crash.plan import PAUSE_SECONDS, Life, Way
from tests.crash.process_spawner import Child, Nursery

#: Begins a life in a service's log; characters of its end that are told.
MARK = "-- life: "
MOST_SAID = 400
#: Longest a start may take until the service listens, in seconds, and how often one looks.
START_SECONDS = 60.0
LOOK_SECONDS = 0.05
#: Seconds, once it listens, after which a life whose boundary was never passed is ended all the same.
LONGEST_WAIT = 12.0
#: Seconds between the end of a pause and the kill: what was stopped goes on, meets what changed meanwhile, and works
#: under a new lease, for which a renewal must come.
AFTER_PAUSE = 7.0
#: Seconds that an orderly stop may take.
STOP_SECONDS = 30.0


@dataclass(slots=True)
class Tally:
    """What has been done to the services."""

    wanted: int
    kills: int = 0
    at: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    fallen: list[str] = field(default_factory=list)  # services that ended although nobody killed them
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def killed(self, where: str) -> None:
        """One more."""
        self.kills += 1
        self.at[where] += 1
        if self.kills >= self.wanted:
            self.enough.set()


class Process:
    """One service: started, killed, paused, started again, on one port."""

    def __init__(
        self, name: str, port: int, log: Path, environment: Mapping[str, str], tally: Tally, nursery: Nursery
    ) -> None:
        self.name = name
        self.port = port
        self._log = log
        self._environment = environment
        self._tally = tally
        self._nursery = nursery
        self._child = Child(status=0)

    @property
    def pid(self) -> int:
        """Of the life that was started last."""
        return self._child.pid

    @property
    def log(self) -> Path:
        """What all its lives have said."""
        return self._log

    @property
    def alive(self) -> bool:
        """Whether the life that was started last lasts."""
        return self._child.status is None

    async def live(self, lives: Iterator[Life]) -> None:
        """One life after the other, until there were kills enough."""
        while not self._tally.enough.is_set():
            life = next(lives)
            await self.start(life)
            await self._end(life)

    async def start(self, life: Life | None = None) -> None:
        """Start the process, with a fuse where the life has a point."""
        fuse: list[str | int] = [life.point, life.passes] if life is not None and life.way is Way.POINT else []
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"\n{MARK}{life}\n")
        self._child = await self._nursery.bear(self.name, self.port, fuse, self._log, self._environment)

    async def _end(self, life: Life) -> None:
        child = self._child
        if life.way is not Way.TIME:
            await self._listening()
        await child.end(LONGEST_WAIT if life.way is Way.POINT else life.seconds)
        where = life.point
        if child.status is None:
            where = life.way.value
            if life.way is Way.PAUSE:
                child.signal(signal.SIGSTOP)
                await child.end(PAUSE_SECONDS)
                child.signal(signal.SIGCONT)
                await child.end(AFTER_PAUSE)
            elif life.way is Way.POINT:
                self._tally.missed[f"{self.name} {life.point}"] += 1
            child.signal(signal.SIGKILL)
            await child.ended.wait()
        if child.status == -signal.SIGKILL:
            self._tally.killed(where)
        else:
            self._tally.fallen.append(f"{self.name} ended by itself with status {child.status}: {self._last()}")

    async def _listening(self) -> None:
        """Return when the port answers, when the process has ended, or when that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self._child.status is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return
                    await asyncio.sleep(LOOK_SECONDS)

    async def ready(self) -> None:
        """Return when it says that it is ready. `TimeoutError` where it does not come to that."""
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
            await self._listening()
            while True:
                async with http.get(f"http://127.0.0.1:{self.port}/health/ready") as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(LOOK_SECONDS)

    def _last(self) -> str:
        """The end of what this life has said."""
        said = self._log.read_text(encoding="utf-8", errors="replace").rpartition(f"\n{MARK}")[2]
        return said.partition("\n")[2].strip()[-MOST_SAID:]

    async def stop(self) -> None:
        """Stop in order; what does not end so is counted as fallen."""
        if self._child.status is None:
            self._child.signal(signal.SIGTERM)
            await self._child.end(STOP_SECONDS)
            if self._child.status != 0:
                self._tally.fallen.append(f"{self.name} did not stop in order: status {self._child.status}")
        elif self._child.status != 0:
            self._tally.fallen.append(f"{self.name} ended by itself with status {self._child.status}: {self._last()}")
