"""`python -m tests.crash.outside_world PORT JOURNAL SEED`: the outside. It writes down every call before it answers.

Some answers are late, some are an error, some never come although the call was written down.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

from aiohttp import web

from tests.crash.fork_server import with_parent

#: Shares of calls that are answered with an error, and not at all.
FAILING, SILENT = 0.02, 0.01
#: Longest an answer takes, in seconds.
SLOW_SECONDS = 0.05


class Outside:
    """Records calls, one JSON object a line, and remembers what a person has mended."""

    def __init__(self, journal: Path, chance: random.Random) -> None:
        self._journal = journal.open("a", encoding="utf-8")
        self._chance = chance
        self._mended: set[str] = set()

    async def call(self, request: web.Request) -> web.StreamResponse:
        """`POST /calls` with header Idempotency-Key."""
        body = await request.json()
        line = {"what": body["what"], "sale": body["sale"], "key": request.headers["Idempotency-Key"]}
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()
        draw = self._chance.random()
        await asyncio.sleep(self._chance.uniform(0.0, SLOW_SECONDS))
        if draw < FAILING:
            return web.json_response({"error": "not now"}, status=503)
        if draw < FAILING + SILENT and request.transport is not None:
            request.transport.close()
        return web.json_response({"done": True, "mended": body["sale"] in self._mended})

    async def mend(self, request: web.Request) -> web.Response:
        """`POST /mended/{sale}`: from now on each answer about it says so."""
        self._mended.add(request.match_info["sale"])
        return web.json_response({})


def main(arguments: list[str]) -> None:
    """Serve until standard input ends."""
    port, journal, seed = arguments
    with_parent()
    outside = Outside(Path(journal), random.Random(f"{seed} outside"))
    app = web.Application()
    app.router.add_post("/calls", outside.call)
    app.router.add_post("/mended/{sale}", outside.mend)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(sys.argv[1:])
