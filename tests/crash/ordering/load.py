"""The customers: each account's events are said one after the other, each until it is answered."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

#: Seconds before an unanswered one is said again, and that one try may take.
AGAIN_SECONDS, TRY_SECONDS = 0.1, 3.0


@dataclass(slots=True)
class Accounts:
    """Says what happens to `many` accounts at `rate` events a second in all; `said` has the names in order."""

    url: str
    seed: int
    many: int
    rate: float
    said: dict[str, list[str]] = field(default_factory=dict)
    _stopped: bool = False

    async def run(self) -> None:
        """Say until told to stop; returns when all that was begun is answered."""
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as tasks:
            for number in range(self.many):
                tasks.create_task(self._account(http, f"{self.seed}-{number}"))

    def stop(self) -> None:
        """Say nothing new."""
        self._stopped = True

    @property
    def count(self) -> int:
        """How many were answered."""
        return sum(map(len, self.said.values()))

    async def _account(self, http: aiohttp.ClientSession, account: str) -> None:
        said = self.said.setdefault(account, [])
        while not self._stopped:
            sale = f"{account}.{len(said):06d}"
            while not await self._answered(http, f"{self.url}/booked/{account}/{sale}"):  # noqa: ASYNC110 -- it asks
                await asyncio.sleep(AGAIN_SECONDS)
            said.append(sale)
            await asyncio.sleep(self.many / self.rate)

    async def _answered(self, http: aiohttp.ClientSession, url: str) -> bool:
        try:
            async with http.post(url) as answer:
                return answer.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False
