"""The senders: each pushes until it has a 2xx, in its own way, and writes down its answers."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from deploy.demo.webhooks.signing import Secrets
from tests.crash.service_processes import Tally
from tests.crash.webhooks.plan import Copy, Delivery, Double, Due, When
from tests.crash.webhooks.signing import request_of, what_of

#: Attempts at once, and deliveries under way with their doubles; those that wait to be repeated count too.
MOST_ATTEMPTS, MOST_UNDER_WAY = 64, 1000
#: Seconds between two looks at how many kills there were.
LOOK_SECONDS = 0.05
#: Seconds of its pace that a load which had to wait makes up for.
CATCH_UP_SECONDS = 1.0
#: How the status of a push is written down that had no answer.
NONE = 0


@dataclass(frozen=True, slots=True)
class Habit:
    """How long a sender waits for an answer, and between its attempts, in seconds; each wait up to half as long again.

    The waits are those of the sender's documentation in shape and number, and shorter.
    """

    answer: float
    waits: tuple[float, ...]


HABITS = {
    # ten attempts, from seconds to a day apart
    "standard": Habit(5.0, (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0)),
    # for three days, twice as long each time up to hours
    "stripe": Habit(5.0, tuple(min(0.1 * 2**n, 12.0) for n in range(14))),
    # 5 s to answer, 8 repetitions within four hours
    "shopify": Habit(5.0, (0.2, 0.6, 1.5, 4.0, 8.0, 12.0, 18.0, 25.0)),
    # 10 s to answer, never repeats; a script of the team's asks for what has failed
    "github": Habit(10.0, (3.0,) * 30),
}


@dataclass(slots=True)
class Answers:
    """What one push was answered in all its attempts."""

    number: str
    what: str
    statuses: Counter[int] = field(default_factory=Counter)
    flows: list[str] = field(default_factory=list)  # of each 2xx
    given_up: bool = False

    def written(self) -> dict[str, Any]:
        """As the checker reads it."""
        statuses = {str(status): times for status, times in self.statuses.items()}
        return {
            "number": self.number, "what": self.what, "statuses": statuses, "flows": self.flows,
            "given_up": self.given_up,
        }  # fmt: skip


class Senders:
    """Pushes all deliveries at most at `rate` a second, and no faster than the processes are killed.

    Of each delivery the first push begins in the order given; its doubles come when the plan says.
    """

    def __init__(
        self,
        urls: Sequence[str],
        deliveries: Sequence[Delivery],
        secrets: Secrets,
        rate: float,
        tally: Tally,
        seed: int,
    ) -> None:
        self._urls = urls
        self._deliveries = deliveries
        self._secrets = secrets
        self._rate = rate
        self._tally = tally
        self._chance = random.Random(f"{seed} senders")
        self._attempts = asyncio.Semaphore(MOST_ATTEMPTS)
        self._under_way = asyncio.Semaphore(MOST_UNDER_WAY)
        self.begun = 0
        self.answers: list[Answers] = []

    async def run(self) -> None:
        """Returns when every push is answered or given up."""
        due = time.monotonic()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as tasks:
            for each in self._deliveries:
                await self._turn()
                await self._under_way.acquire()
                tasks.create_task(self._deliver(http, each))
                self.begun += 1
                now = time.monotonic()
                due = max(due + 1 / self._rate, now - CATCH_UP_SECONDS)
                await asyncio.sleep(max(0.0, due - now))

    async def _turn(self) -> None:
        """Spread the pushes over all kills."""
        tally, all = self._tally, len(self._deliveries)
        await self._until(lambda: self.begun * tally.wanted < all * (tally.kills + 1))

    async def _until(self, true: Callable[[], bool]) -> None:
        """Wait for something that kills change; not when there are no more."""
        while not (true() or self._tally.enough.is_set()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._tally.enough.wait()

    async def _deliver(self, http: aiohttp.ClientSession, each: Delivery) -> None:
        """The first push and its doubles."""
        at_once = [double for double in each.doubles if double.when is When.AT_ONCE]
        later = [double for double in each.doubles if double.when is not When.AT_ONCE]
        async with asyncio.TaskGroup() as tasks:
            for double in at_once:
                tasks.create_task(self._again(http, each, double))
            await self._push(http, each, None)
            for double in later:
                tasks.create_task(self._again(http, each, double))
        self._under_way.release()

    async def _again(self, http: aiohttp.ClientSession, each: Delivery, double: Double) -> None:
        kills = self._tally.kills
        if double.when is When.LATER:
            await asyncio.sleep(double.seconds)
        if double.when is When.AFTER_KILL:
            await self._until(lambda: self._tally.kills > kills)
        await self._push(http, each, double.copy)

    async def _push(self, http: aiohttp.ClientSession, each: Delivery, copy: Copy | None) -> None:
        """One push in all its attempts. What is not authentic is repeated only until somebody answers."""
        habit = HABITS[each.sender]
        found = Answers(each.number, what_of(copy))
        self.answers.append(found)
        for wait in (*habit.waits, None):
            async with self._attempts:
                status = await self._attempt(http, each, copy, found, habit.answer)
            found.statuses[status] += 1
            if 200 <= status < 300 or (each.due is Due.REFUSED and status == 401):
                return
            if wait is not None:
                await asyncio.sleep(wait * self._chance.uniform(1.0, 1.5))
        found.given_up = True

    async def _attempt(
        self, http: aiohttp.ClientSession, each: Delivery, copy: Copy | None, found: Answers, seconds: float
    ) -> int:
        url = f"{self._chance.choice(self._urls)}/webhooks/{each.sender}"
        request = request_of(each, copy, self._secrets, int(time.time()), self._chance)
        try:
            async with http.post(
                url, data=request.body, headers=request.headers, timeout=aiohttp.ClientTimeout(total=seconds)
            ) as answer:
                if 200 <= answer.status < 300:
                    # The status has come, so the sender counts it as taken, whatever becomes of the rest.
                    found.flows.append("")
                    found.flows[-1] = str((await answer.json())["flow"])
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 202 if found.flows else NONE
