"""The customers: say sales over HTTP and ask again until each is answered, whoever is dead meanwhile."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence

import aiohttp

#: Sales under way at once.
CUSTOMERS = 16
#: Seconds before an unanswered sale is said again, and that one try may take.
AGAIN_SECONDS = 0.1
TRY_SECONDS = 3.0
#: Seconds of its pace that a load which had to wait makes up for.
CATCH_UP_SECONDS = 1.0


class Load:
    """Says sales at a rate, in turn to each of several replicas.

    `answered` are those that got 202, with whether they are to be refused; `waits` the seconds from the first try to
    the answer, until somebody takes them away.
    """

    def __init__(
        self, urls: Sequence[str], sales: Iterator[tuple[str, bool]], rate: float, *, customers: int = CUSTOMERS
    ) -> None:
        self._urls = itertools.cycle(urls)
        self._sales = sales
        self._customers = customers
        self._stop = asyncio.Event()
        self._may = asyncio.Event()
        self._may.set()
        self.rate = rate
        self.answered: dict[str, bool] = {}
        self.waits: list[float] = []

    async def run(self) -> None:
        """Say sales until told to stop; returns when every sale that was begun is answered."""
        room = asyncio.Semaphore(self._customers)
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        due = time.monotonic()
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as customers:
            while not self._stop.is_set():
                await room.acquire()
                await self._may.wait()
                customers.create_task(self._say(http, *next(self._sales), room))
                now = time.monotonic()
                due = max(due + 1 / self.rate, now - CATCH_UP_SECONDS)
                await asyncio.sleep(max(0.0, due - now))

    def hold(self) -> None:
        """Say nothing new until `go_on`."""
        self._may.clear()

    def go_on(self) -> None:
        """Say sales again."""
        self._may.set()

    def stop(self) -> None:
        """Begin no more sales."""
        self._stop.set()
        self._may.set()

    async def _say(self, http: aiohttp.ClientSession, sale: str, refuse: bool, room: asyncio.Semaphore) -> None:
        began = time.monotonic()
        while True:
            if await self._tried(http, sale, refuse):
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self.answered[sale] = refuse
        self.waits.append(time.monotonic() - began)
        room.release()

    async def _tried(self, http: aiohttp.ClientSession, sale: str, refuse: bool) -> bool:
        try:
            async with http.post(f"{next(self._urls)}/sales/{sale}?refuse={int(refuse)}") as answer:
                return answer.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False
