"""`python -m tests.crash.history.reader PORT`: a client that reads the projection all the time, until its input ends.

Every answer must be whole, and never older than the one before. It prints one line of JSON at its end.
"""

import asyncio
import json
import sys
from contextlib import suppress
from http import HTTPStatus

import aiohttp

#: Seconds between two reads, and for which one may take.
EVERY_SECONDS, MOST_SECONDS = 0.02, 10.0


class Reader:
    """What it has seen; `wrong` says what was wrong, one sentence each."""

    def __init__(self) -> None:
        self.reads, self.away, self.last = 0, 0, 0
        self.wrong: list[str] = []

    def judge(self, rows: int, different: int, counted: int) -> None:
        """One answer."""
        self.reads += 1
        if not rows == different == counted:
            self.wrong.append(f"{rows} rows, {different} different, counted {counted}")
        if rows < self.last:
            self.wrong.append(f"a read went back: {self.last}, then {rows}")
        self.last = max(self.last, rows)

    async def run(self, port: int) -> None:
        """Read until cancelled; a service that is away is none to judge."""
        timeout = aiohttp.ClientTimeout(total=MOST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/view") as answer:
                        if answer.status == HTTPStatus.OK:
                            self.judge(**await answer.json())
                        else:
                            self.away += 1
                except (aiohttp.ClientError, TimeoutError, OSError):
                    self.away += 1
                await asyncio.sleep(EVERY_SECONDS)


async def main(port: int) -> None:
    """Read until nobody is there any more who asked for it."""
    reader = Reader()
    reading = asyncio.create_task(reader.run(port))
    await asyncio.to_thread(sys.stdin.read)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    print(json.dumps({"reads": reader.reads, "away": reader.away, "last": reader.last, "wrong": reader.wrong}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
