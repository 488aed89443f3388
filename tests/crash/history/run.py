"""One run: kills a backfill, then a rebuild, again and again, and checks everything by the service's own tables."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.broker.node import RabbitNode, free_ports
from tests.crash.history.archive_process import ArchiveProcess, Database
from tests.crash.history.speaker import Speaker
from tests.crash.process_spawner import ROOT

#: Live events a second; seconds after it answers, or after history is nearly read, within which a process is killed.
RATE, EARLY_SECONDS, LATE_SECONDS = 5.0, 4.0, 3.0
#: Seconds between two restarts of the broker, and for which everything may take to come to rest.
RESTART_SECONDS, REST_SECONDS = 40.0, 300.0
#: Seconds after it was declared in which RabbitMQ 3.10 loses a queue when it is killed.
DECLARED_SECONDS = 3.0
LOOK_SECONDS = 0.05
BACKFILLS = "SELECT phase, next FROM hocket_backfills"
GENERATIONS = "SELECT n, state FROM hocket_generations WHERE projection = 'view' ORDER BY n"


@dataclass(slots=True)
class HistoryRun:
    """One seed against one store: `history` events are said first, then each kind is killed `kills` times."""

    seed: int
    kills: int
    history: int
    folder: Path
    node: RabbitNode
    database: Database
    say: Callable[[str], None]
    found: list[str] = field(default_factory=list)  # what is wrong
    killed: Counter[str] = field(default_factory=Counter)  # by what was going on
    restarts: int = 0
    rounds: int = 0
    rebuilds: int = 0
    _chance: random.Random = field(init=False)
    _speaker: Speaker = field(init=False)
    _process: ArchiveProcess = field(init=False)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _declaring: asyncio.Lock = field(default_factory=asyncio.Lock)  # the broker lives meanwhile

    async def run(self) -> int:
        """0 where nothing is wrong."""
        began = time.monotonic()
        await asyncio.to_thread(self.node.start)
        [port] = free_ports(1)
        self._chance, self._speaker = random.Random(self.seed), Speaker(self.node.url(), self.seed)
        environment = {
            "HOCKET_BROKER_URL": self.node.url(), "HOCKET_DATABASE_URL": self.database.url,
            "HOCKET_LOG_LEVEL": "WARNING", "HOCKET_BACKFILL_MARKER_SECONDS": "1",
            "HOCKET_PROJECTION_GRACE_SECONDS": "1", "HOCKET_PROJECTION_REMOVAL_SECONDS": "1",
        }  # fmt: skip
        self._process = ArchiveProcess(port, environment, self.folder / "archive.log")
        await self._speaker.open()
        await self._speaker.say(self.history)
        try:
            await self._process.start(0)
            await self._process.ready()
            async with self._reading(port), self._disturbing():
                await self._times(self._kill_backfill)
                await self._times(self._kill_rebuild)
                await self._rest()
            await self._check()
        finally:
            await self._process.kill()
            await self._speaker.close()
        self._tell(time.monotonic() - began)
        return 1 if self.found else 0

    async def _times(self, kill: Callable[[], Awaitable[str]]) -> None:
        for _ in range(self.kills):
            async with asyncio.timeout(REST_SECONDS):
                self.killed[await kill()] += 1

    # -- kills ----------------------------------------------------------------------------------------------------

    async def _kill_backfill(self) -> str:
        """Kill it at some moment of a round's history, half of them about the cut-over; what it was at."""
        if not self.rounds or await self._phase() == "live":
            await self._process.stop()
            self.rounds += 1
            async with self._declaring:
                await self._process.start(self.rounds)
                await self._until(self._phase)
        late = self._chance.random() < 0.5
        await self._moment(self._nearly_read if late else self._process.answers)
        await self._killed()
        phase = await self._phase() or "before its row"
        await self._process.start(self.rounds)
        return f"backfill {phase}{', at its end' if late and phase == 'reading' else ''}"

    async def _row(self) -> list[tuple[str, ...]]:
        return await self.database.rows(f"{BACKFILLS} WHERE subscription = 'archive.keep{self.rounds - 1}'")

    async def _phase(self) -> str:
        rows = await self._row()
        return rows[0][0] if rows else ""

    async def _nearly_read(self) -> bool:
        rows = await self._row()
        return bool(rows) and (rows[0][0] == "live" or int(rows[0][1]) >= self._speaker.said * 0.9)

    async def _kill_rebuild(self) -> str:
        """Kill it at some moment of a rebuild, half of them about the swap; what it was at."""
        if all(state != "building" for state in await self._states()):
            await self._process.ready()
            async with self._declaring:
                await self._rebuild()
                await self._until(self._begun)
        late = self._chance.random() < 0.5
        await self._moment(self._nearly_built if late else self._process.answers)
        before = await self._states()
        await self._killed()
        states = await self._states()
        await self._process.start(self.rounds)
        what = "building" if "building" in states else "swapped"
        return f"rebuild {what}{', at its end' if late or before != states else ''}"

    async def _states(self) -> list[str]:
        return [state for _, state in await self.database.rows(GENERATIONS)]

    async def _nearly_built(self) -> bool:
        states = await self.database.rows(GENERATIONS)
        number = next((n for n, state in states if state == "building"), None)
        if number is None:
            return True
        rows = await self.database.rows(f"SELECT count(*) FROM marks__{number}")  # noqa: S608 -- a number
        return bool(rows) and int(rows[0][0]) >= self._speaker.said * 0.9

    async def _rebuild(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hocket", "rebuild", "archive.view", cwd=ROOT, env=self._process.whole_environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert not process.returncode, said.decode()
        self.rebuilds += 1

    async def _begun(self) -> bool:
        """Whether the generation that is built reads history: its queue was declared."""
        number = (await self.database.rows(GENERATIONS))[-1][0]
        return bool(await self.database.rows(f"{BACKFILLS} WHERE subscription = 'archive.view@{number}'"))

    async def _until(self, holds: Callable[[], Awaitable[object]]) -> None:
        """Return a while after it holds."""
        while not await holds():  # noqa: ASYNC110 -- looks from outside
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(DECLARED_SECONDS)

    async def _moment(self, since: Callable[[], Awaitable[bool]]) -> None:
        """Some moment, after `since` holds."""
        while not self._process.ended and not await since():  # noqa: ASYNC110 -- looks from outside
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(self._chance.uniform(0, EARLY_SECONDS if since == self._process.answers else LATE_SECONDS))

    async def _killed(self) -> None:
        if not await self._process.kill():
            self.found.append("the service ended by itself")

    # -- beside ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _disturbing(self) -> AsyncIterator[None]:
        """Live events, and a broker that dies or is stopped now and then."""
        self._over.clear()
        tasks = [asyncio.create_task(self._speaker.live(RATE, self._over)), asyncio.create_task(self._restart())]
        try:
            yield
        finally:
            self._over.set()
            await asyncio.gather(*tasks)

    async def _restart(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._chance.uniform(0.5, 1.5) * RESTART_SECONDS):
                    await self._over.wait()
                    return
            except TimeoutError:
                end = self.node.kill if self._chance.random() < 0.5 else self.node.stop
                async with self._declaring:
                    await asyncio.to_thread(end)
                await asyncio.to_thread(self.node.start)
                self.restarts += 1

    @asynccontextmanager
    async def _reading(self, port: int) -> AsyncIterator[None]:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.history.reader", str(port), cwd=ROOT,
            env=self._process.whole_environment(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield
        finally:
            said, _ = await reader.communicate(b"")  # its input ends, and so does it
        read: dict[str, Any] = json.loads(said)
        self.found += [f"the reader: {each}" for each in read["wrong"][:10]]
        if not read["reads"]:
            self.found.append("the reader has read nothing")
        self.say(f"reads {read['reads']}, without an answer {read['away']}, the last saw {read['last']} events")

    # -- end ------------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Say nothing more, and wait until it has heard what there is."""
        self._over.set()
        await asyncio.sleep(0)
        await self._process.ready()
        end = time.monotonic() + REST_SECONDS
        while time.monotonic() < end:
            if all(len(each) >= self._speaker.said for each in (await self._heard()).values()):
                return
            await asyncio.sleep(1.0)

    async def _heard(self) -> dict[str, Counter[int]]:
        """How often each number stands in the service's tables: of each round, and of the generation that serves."""
        heard = {}
        for number in range(self.rounds):
            rows = await self.database.rows(f"SELECT number FROM kept WHERE round = {number}")  # noqa: S608 -- a number
            heard[f"round {number}"] = Counter(int(row[0]) for row in rows)
        serving = next(n for n, state in await self.database.rows(GENERATIONS) if state == "serving")
        rows = await self.database.rows(f"SELECT number FROM marks__{serving}")  # noqa: S608 -- a number
        return heard | {f"generation {serving}": Counter(int(row[0]) for row in rows)}

    async def _check(self) -> None:
        wanted = Counter(range(self._speaker.said))
        for where, heard in (await self._heard()).items():
            lacks, twice = wanted - heard, heard - wanted
            if lacks or twice:
                self.found.append(f"{where}: lacks {sorted(lacks)[:20]}, too often {sorted(twice)[:20]}")

    def _tell(self, seconds: float) -> None:
        self.say("killed: " + ", ".join(f"{what} {times}" for what, times in sorted(self.killed.items())))
        self.say(
            f"{self._speaker.said} events in the log ({self._speaker.doubled} said again), {self.rounds} backfills, "
            f"{self.rebuilds} rebuilds, {self.restarts} restarts of the broker, {seconds:.0f} s"
        )
        for each in self.found:
            self.say(f"wrong: {each}")
        self.say("nothing is lost, nothing is twice, no read was wrong" if not self.found else "not clean")
