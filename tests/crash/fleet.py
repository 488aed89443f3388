"""The services of a run: each in a process of its own that lives its planned lives."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.plan import PAUSE_SECONDS, Life, Way

#: Seconds after which a life whose boundary was never passed is ended all the same.
LONGEST_WAIT = 12.0
#: Seconds between the end of a pause and the kill: what was stopped goes on and meets what changed meanwhile.
AFTER_PAUSE = 2.0
#: Seconds that an orderly stop may take.
STOP_SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[2]


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

    def __init__(self, name: str, port: int, log: Path, environment: Mapping[str, str], tally: Tally) -> None:
        self.name = name
        self.port = port
        self._log = log
        self._environment = {**os.environ, **environment, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
        self._tally = tally
        self._process: asyncio.subprocess.Process | None = None

    async def live(self, lives: Iterator[Life]) -> None:
        """One life after the other, until there were kills enough; then one that nobody ends."""
        while not self._tally.enough.is_set():
            life = next(lives)
            await self.start(life)
            await self._end(life)
        await self.start()

    async def start(self, life: Life | None = None) -> None:
        """Start the process, with a fuse where the life has a point."""
        fuse = [life.point, str(life.passes)] if life is not None and life.way is Way.POINT else []
        with self._log.open("ab") as log:
            log.write(f"-- {life} --\n".encode())
            log.flush()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.crash.launcher", self.name, str(self.port), *fuse,
                cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    async def _end(self, life: Life) -> None:
        process = self._running()
        await self._ended_by_itself(LONGEST_WAIT if life.way is Way.POINT else life.seconds)
        where = life.point
        if process.returncode is None:
            where = life.way.value
            if life.way is Way.PAUSE:
                await self._pause(process)
            elif life.way is Way.POINT:
                self._tally.missed[f"{self.name} {life.point}"] += 1
            self._signal(signal.SIGKILL)
            await process.wait()
        if process.returncode == -signal.SIGKILL:
            self._tally.killed(where)
        else:
            self._tally.fallen.append(f"{self.name} ended by itself with status {process.returncode}: {self._last()}")

    async def _pause(self, process: asyncio.subprocess.Process) -> None:
        self._signal(signal.SIGSTOP)
        await self._ended_by_itself(PAUSE_SECONDS)
        self._signal(signal.SIGCONT)
        await self._ended_by_itself(AFTER_PAUSE)

    async def _ended_by_itself(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._running().wait()

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    def _signal(self, word: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._running().send_signal(word)

    def _last(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:400] if lines else ""

    def fallen(self) -> bool:
        """Whether the last life ended although nobody ended it."""
        return self._process is not None and self._process.returncode is not None

    async def stop(self) -> None:
        """Stop in order; what does not end is killed and counted as fallen."""
        if self._process is None or self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        await self._ended_by_itself(STOP_SECONDS)
        if self._process.returncode != 0:
            self._tally.fallen.append(f"{self.name} did not stop in order: status {self._process.returncode}")
        self.kill()

    def kill(self) -> None:
        """End it now, whatever state it is in."""
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGKILL)
