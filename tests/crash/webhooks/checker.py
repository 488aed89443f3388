"""`python -m tests.crash.webhooks.checker EVIDENCE`: reads log, books and kept rows from outside, and judges.

EVIDENCE is a JSON file: the broker's address, each service's database, what each delivery was due to become, what the
senders were answered, the number of kills. The last line printed is the verdict; status 1 where it is not clean.
"""

import asyncio
import itertools
import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aio_pika
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.crash.checker import ACK_EVERY, DEAD, LOG, PREFETCH, QUIET_SECONDS, SHOWN
from tests.crash.webhooks.verdict import Kept, Seen, Verdict, judge

EVENT = "push.taken"
INGRESS = "ingress"
BOOK = "SELECT number, what FROM book"
KEPT = "SELECT source, state, cause, correlation_id, body FROM hocket_webhooks"
NUMBER = re.compile(rb'"number": "([a-z0-9]+)"')


async def read_log(url: str, seen: Seen) -> None:
    """Every event of the log, and every letter in the queue of the dead."""
    quiet, arrivals = asyncio.Event(), itertools.count(1)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        log = await channel.get_queue(LOG)

        async def arrived(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            envelope = json.loads(message.body)
            quiet.set()
            if envelope["type"] == EVENT:
                data, identity = envelope["data"], f"{envelope['source']} {envelope['id']}"
                seen.events[data["number"]][data["what"]].add((identity, envelope["correlationid"]))
                seen.copies += 1
            if not next(arrivals) % ACK_EVERY:
                await message.ack(multiple=True)

        await log.consume(arrived, arguments={"x-stream-offset": "first"})
        while True:
            quiet.clear()
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await quiet.wait()
            except TimeoutError:
                break
        dead = await (await connection.channel()).get_queue(DEAD)
        while (letter := await dead.get(fail=False)) is not None:  # none is acknowledged: they go back at the end
            headers = letter.headers
            about = (str(headers.get(f"hocket-death-{what}", "")) for what in ("subscription", "cause"))
            seen.letters.append(", ".join(about))


async def rows(url: str, query: str) -> list[Any]:
    """All rows; a database is `sqlite:///PATH` or `postgresql+asyncpg://…`."""
    if url.startswith("sqlite:"):
        connection = sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()
    engine = create_async_engine(url)
    try:
        async with engine.connect() as reading:
            return list((await reading.execute(text(query))).all())
    finally:
        await engine.dispose()


async def read_databases(databases: Mapping[str, str], seen: Seen) -> None:
    """The books of the subscribers, and what ingress keeps."""
    for service, url in databases.items():
        if service != INGRESS:
            seen.books[service] = Counter((row[0], row[1]) for row in await rows(url, BOOK))
            continue
        for source, state, cause, flow, body in await rows(url, KEPT):
            found = NUMBER.search(bytes(body))
            seen.kept.append(Kept(found[1].decode() if found else "", source, state, cause, flow))


async def check(evidence: Mapping[str, Any]) -> tuple[Verdict, Seen]:
    """Read everything and judge it."""
    seen = Seen()
    await read_log(evidence["broker"], seen)
    await read_databases(evidence["databases"], seen)
    return judge(evidence["due"], evidence["answers"], seen, evidence["kills"]), seen


def main(arguments: list[str]) -> int:
    """Check one run and print what was found."""
    evidence = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    verdict, seen = asyncio.run(check(evidence))
    for name, findings in (("lost", verdict.lost), ("doubled", verdict.doubled), ("strange", verdict.strange)):
        for finding in findings[:SHOWN]:
            print(f"{name}: {finding}")
        if len(findings) > SHOWN:
            print(f"{name}: and {len(findings) - SHOWN} more")
    print(verdict.figures())
    print(f"messages in the log {seen.copies}, lines in the books "
          + ", ".join(f"{name} {book.total()}" for name, book in seen.books.items()))  # fmt: skip
    print(verdict.line())
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
