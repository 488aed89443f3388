"""Writes the books in groups: what arrived while one group was being written is the next group."""

import asyncio
import time
from collections.abc import Sequence

from services.sandbox import storage
from services.sandbox.domain import Entry, Slip
from services.sandbox.service import sandbox

#: Most requests written in one transaction.
MAX_GROUP = 200


def now() -> float:
    """Seconds since 1970, to the millisecond, as the books tell the time."""
    return round(time.time(), 3)


class Clerk:
    """The one hand that writes the books of this process."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Slip, asyncio.Future[Entry]]] = []
        self._pen = asyncio.Lock()

    async def book(self, slip: Slip) -> Entry:
        """Book a request and return its line once it is committed."""
        line: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._waiting.append((slip, line))
        while not line.done():
            async with self._pen:
                if not line.done():
                    await self._write()
        return line.result()

    async def answered(self, id: int) -> None:
        """Note that the answer to a late line is being given now."""
        async with self._pen, sandbox.tx() as tx:
            await storage.answered(await tx.db(), id, now())

    async def _write(self) -> None:
        """Write the oldest group; a failure is each waiting request's own."""
        group = self._waiting[:MAX_GROUP]
        del self._waiting[:MAX_GROUP]
        try:
            lines = await _commit([slip for slip, _ in group])
        except BaseException as error:
            for _, line in group:
                line.set_exception(error)
            if isinstance(error, Exception):
                return
            raise
        for (_, line), entry in zip(group, lines, strict=True):
            line.set_result(entry)


async def _commit(slips: Sequence[Slip]) -> list[Entry]:
    async with sandbox.tx() as tx:
        return await storage.book(await tx.db(), slips, now())
