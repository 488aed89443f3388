"""`python -m tests.crash.checker EVIDENCE`: judges a run from outside; knows nothing of hocket but what it promises.

EVIDENCE is a JSON file: the broker's address, each service's database, the outside world's journal, the sales that
were answered with 202, the number of kills. The last line printed is the verdict; status 1 where it is not clean.
"""

import asyncio
import itertools
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.crash import refused_commits

#: Seconds without a further message after which the log is read to its end.
QUIET_SECONDS = 3.0
#: Messages of the log under way, and how many are acknowledged at once: an hour's log is a million.
PREFETCH, ACK_EVERY = 2000, 500
#: Findings printed of each kind.
SHOWN = 10

LOG, DEAD = "hocket.log", "hocket.dead"
#: What each service writes and says for every sale, for a refused one only, for an accepted one only.
EVENTS = {
    "": ("sale.rung", "card.charged", "stock.audited", "sale.archived"),
    "refused": ("stock.refused", "card.refunded"),
    "taken": ("stock.taken",),
}
EFFECTS = {
    "": (("till", "rung"), ("bank", "charged"), ("till", "closed")),
    "refused": (("shelf", "refused"), ("bank", "refunded")),
    "taken": (("shelf", "taken"),),
}
CALLS = {"": ("charge",), "refused": ("refund",), "taken": ()}


@dataclass(slots=True)
class Seen:
    """Everything that was found."""

    events: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))  # (sale, type): ids
    effects: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (sale, service, what)
    calls: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))  # (sale, what): keys
    letters: dict[tuple[str, str, str], set[str]] = field(  # (sale, subscription, cause): identities
        default_factory=lambda: defaultdict(set)
    )


@dataclass(slots=True)
class Verdict:
    """What follows from it."""

    kills: int
    events: int = 0
    copies: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    repeated: int = 0
    stable: int = 0
    letters: int = 0  # that were due: commits that are always refused

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.doubled or self.strange) and self.repeated == self.stable

    def line(self) -> str:
        """The last line of a run."""
        return (
            f"kills {self.kills} events {self.events} lost {len(self.lost)} duplicated effects {len(self.doubled)} "
            f"outside calls repeated {self.repeated} with stable key {self.stable}"
        )


def _wanted(table: Mapping[str, tuple[Any, ...]], refused: bool) -> Iterator[Any]:
    yield from table[""]
    yield from table["refused" if refused else "taken"]


def judge(seen: Seen, sales: Mapping[str, bool], kills: int, refused_every: int = 0) -> Verdict:
    """Compare what was found with what must be there for each sale (name: whether it is refused).

    Of about one sale in `refused_every` the commit of its filing is always refused, which must end in one letter.
    """
    verdict = Verdict(kills)
    verdict.events = sum(len(set(ids)) for ids in seen.events.values())
    verdict.copies = sum(len(ids) for ids in seen.events.values()) - verdict.events
    for sale, refused in sales.items():
        for type in _wanted(EVENTS, refused):
            said = len(set(seen.events.get((sale, type), ())))
            _count(verdict, said, f"event {type} of {sale}")
        for service, what in _wanted(EFFECTS, refused):
            _count(verdict, seen.effects[sale, service, what], f"effect {what} of {sale} in {service}")
        for what in _wanted(CALLS, refused):
            if not seen.calls.get((sale, what)):
                verdict.lost.append(f"outside call {what} of {sale}")
    for (sale, what), keys in seen.calls.items():
        verdict.repeated += len(keys) - 1
        verdict.stable += sum(key == keys[0] for key in keys[1:])
        if len(set(keys)) > 1:
            verdict.strange.append(f"outside call {what} of {sale} came under {len(set(keys))} keys")
    _unwanted(verdict, seen, sales)
    _letters(verdict, seen, refused_commits.expected(sales, refused_every))
    return verdict


def _letters(verdict: Verdict, seen: Seen, refused: set[str]) -> None:
    for sale in sorted(refused):
        found = len(seen.letters.get((sale, refused_commits.SUBSCRIPTION, refused_commits.CAUSE), ()))
        _count(verdict, found, f"letter of {refused_commits.SUBSCRIPTION} for {sale}")
        verdict.letters += min(found, 1)
    for sale, subscription, cause in seen.letters:
        if (subscription, cause) != (refused_commits.SUBSCRIPTION, refused_commits.CAUSE) or sale not in refused:
            verdict.strange.append(f"a letter of {subscription} for {sale}, cause {cause}, was never due")


def _count(verdict: Verdict, found: int, what: str) -> None:
    if not found:
        verdict.lost.append(what)
    elif found > 1:
        verdict.doubled.append(f"{what}: {found} times")


def _unwanted(verdict: Verdict, seen: Seen, sales: Mapping[str, bool]) -> None:
    for sale, type in seen.events:
        if sale not in sales or type not in _wanted(EVENTS, sales[sale]):
            verdict.strange.append(f"event {type} of {sale} was never due")
    for sale, service, what in seen.effects:
        if sale not in sales or (service, what) not in _wanted(EFFECTS, sales[sale]):
            verdict.strange.append(f"effect {what} of {sale} in {service} was never due")
    for sale, what in seen.calls:
        if sale not in sales or what not in _wanted(CALLS, sales[sale]):
            verdict.strange.append(f"outside call {what} of {sale} was never due")


async def read_log(url: str, seen: Seen) -> None:
    """Every event of the log, and every letter in the queue of the dead."""
    quiet = asyncio.Event()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        log = await channel.get_queue(LOG)

        arrivals = itertools.count(1)

        async def arrived(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            envelope = json.loads(message.body)
            key = sys.intern(envelope["data"]["sale"]), sys.intern(envelope["type"])
            seen.events[key].append(f"{envelope['source']} {envelope['id']}")
            quiet.set()
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
            why = str(headers.get("hocket-death-subscription", "")), str(headers.get("hocket-death-cause", ""))
            seen.letters[(_sale_of(letter.body), *why)].add(str(headers.get("hocket-death-id", "")))


def _sale_of(body: bytes) -> str:
    """The sale that a letter is about, "" where it cannot be read."""
    try:
        return str(json.loads(body)["data"]["sale"])
    except (ValueError, KeyError, TypeError):
        return ""


async def read_effects(databases: Mapping[str, str], seen: Seen) -> None:
    """Every row of every service's table of effects; a database is `sqlite:///PATH` or `postgresql+asyncpg://…`."""
    for service, url in databases.items():
        rows = _sqlite(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else await _postgres(url)
        for sale, what in rows:
            seen.effects[sale, service, what] += 1


def _sqlite(path: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT sale, what FROM effects").fetchall()
    finally:
        connection.close()


async def _postgres(url: str) -> list[tuple[str, str]]:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            rows = await connection.execute(text("SELECT sale, what FROM effects"))
            return [(row[0], row[1]) for row in rows.all()]
    finally:
        await engine.dispose()


def read_calls(lines: Iterable[str], seen: Seen) -> None:
    """Every call that the world outside wrote down."""
    for line in lines:
        call = json.loads(line)
        seen.calls[call["sale"], call["what"]].append(call["key"])


async def check(evidence: Mapping[str, Any]) -> Verdict:
    """Read everything and judge it."""
    seen = Seen()
    await read_log(evidence["broker"], seen)
    await read_effects(evidence["databases"], seen)
    read_calls(Path(evidence["journal"]).read_text(encoding="utf-8").splitlines(), seen)
    return judge(seen, evidence["sales"], evidence["kills"], evidence.get("refused_every", 0))


def main(arguments: list[str]) -> int:
    """Check one run and print what was found."""
    evidence = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    verdict = asyncio.run(check(evidence))
    for name, findings in (("lost", verdict.lost), ("doubled", verdict.doubled), ("strange", verdict.strange)):
        for finding in findings[:SHOWN]:
            print(f"{name}: {finding}")
        if len(findings) > SHOWN:
            print(f"{name}: and {len(findings) - SHOWN} more")
    print(f"sales {len(evidence['sales'])}, copies in the log {verdict.copies}, letters as due {verdict.letters}")
    print(verdict.line())
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
