"""The customers: say sales over HTTP and ask again until each is answered, whoever is dead meanwhile."""

import asyncio
from collections.abc import Iterator

import aiohttp

#: Sales under way at once.
CUSTOMERS = 16
#: Seconds before an unanswered sale is said again, and that one try may take.
AGAIN_SECONDS = 0.1
TRY_SECONDS = 3.0


class Load:
    """Says sales at a rate; `answered` are those that got 202, with whether they are to be refused."""

    def __init__(self, url: str, sales: Iterator[tuple[str, bool]], rate: float) -> None:
        self._url = url
        self._sales = sales
        self._rate = rate
        self._stop = asyncio.Event()
        self.answered: dict[str, bool] = {}

    async def run(self) -> None:
        """Say sales until told to stop; returns when every sale that was begun is answered."""
        room = asyncio.Semaphore(CUSTOMERS)
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as customers:
            while not self._stop.is_set():
                await room.acquire()
                customers.create_task(self._say(http, *next(self._sales), room))
                await asyncio.sleep(1 / self._rate)

    def stop(self) -> None:
        """Begin no more sales."""
        self._stop.set()

    async def _say(self, http: aiohttp.ClientSession, sale: str, refuse: bool, room: asyncio.Semaphore) -> None:
        while True:
            if await self._tried(http, sale, refuse):
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self.answered[sale] = refuse
        room.release()

    async def _tried(self, http: aiohttp.ClientSession, sale: str, refuse: bool) -> bool:
        try:
            async with http.post(f"{self._url}/sales/{sale}?refuse={int(refuse)}") as answer:
                return answer.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False
