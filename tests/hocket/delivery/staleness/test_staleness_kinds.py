"""RULES 15 for renamed handlers, older versions, steps, own transactions, and rows that are old."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from hocket import Event, Heard, Service, Tx
from hocket.config import Config
from hocket.store.tables.subjects import LATEST, MARKS
from hocket.worker import Worker
from tests.hocket.delivery.staleness.shelf import WITHIN, Bought, Keeper, Moved, Packed, Priced, noted, shelf, tables
from tests.hocket.sample_services import LONG, Processes

HOUR = timedelta(hours=1)


class Weighed(Heard, type="shop.weighed", version=1):
    """As an older release of the shop says it."""

    rev: int


class WeighedToo(Heard, type="shop.weighed", version=2):
    """As the newer one does."""

    version: int


class Dated(Heard, type="shop.dated"):
    """It has a day."""

    on: date


class Taken(Event, type="shelf.taken", subject="taken/{n}"):
    """What a step did."""

    n: int


class Failed(Heard, type="shop.failed"):
    """Why it is undone."""


def words(tower: Processes, handler: str) -> list[str]:
    """How the attempts of this handler ended."""
    return [each["outcome"] for each in tower.receipts() if each["subscription"] == handler]


def named(name: str, formerly: tuple[str, ...], ran: list[str]) -> Service[None]:
    """A service whose handler has had other names, and so has its predecessor."""
    service = Service("shelf", owner="tests")
    options: dict[str, Any] = {"formerly": formerly} if formerly else {}
    before: dict[str, Any] = {"formerly": tuple(f"first_{each}" for each in formerly)} if formerly else {}

    @service.handler(name=f"first_{name}", **before)
    async def first(event: Bought, tx: Tx) -> None:
        ran.append("first")

    @service.handler(name=name, latest_by="version", after=first, within=WITHIN, **options)
    async def then(event: Priced, tx: Tx) -> None:
        ran.append(f"{name} {event.version}")

    return service


async def test_a_renamed_handler_keeps_its_rows(tower: Processes) -> None:
    """RULES 15.1, 15.4, 2.4: the rows are of its first name, the marks of its predecessor's first name."""
    ran: list[str] = []
    await tower.start(named("old", (), ran))
    await tower.hear(Bought(), "b")
    await tower.quiet()
    await tower.hear(Priced(version=5), "p5")
    await tower.quiet()
    await tower.stop("shelf")
    await tower.start(named("new", ("old",), ran))
    await tower.hear(Priced(version=4), "p4")
    await tower.hear(Priced(version=6), "p6")
    await tower.quiet()
    assert ran == ["first", "old 5", "new 6"]
    ended = Counter(words(tower, "shelf.new"))  # the queue of its former name is bound until it is removed
    assert (ended["handled"], ended["stale"]) == (1, 1)


async def test_the_field_is_read_after_the_upcast(tower: Processes) -> None:
    """RULES 15.1, 10.1: versions of one event are compared by the field of the model that is heard."""
    service, ran = Service("shelf", owner="tests"), list[int]()

    @service.upcast
    def newer(old: Weighed) -> WeighedToo:
        return WeighedToo(version=10 * old.rev)

    @service.handler(latest_by="version")
    async def weigh(event: WeighedToo, tx: Tx) -> None:
        ran.append(event.version)

    await tower.start(service)
    for key, event in (("a", WeighedToo(version=15)), ("b", Weighed(rev=1)), ("c", Weighed(rev=2))):
        await tower.hear(event, key)
        await tower.quiet()
    assert ran == [15, 20]


async def test_a_field_of_another_name_is_not_compared(tower: Processes) -> None:
    """RULES 15.1: a release that names another field is not silenced by the values of the one before."""
    for field in ("version", "edition"):
        service = Service("shelf", owner="tests")
        both = type("Both", (Heard,), {"__annotations__": {"version": int, "edition": int}}, type="shop.both")

        async def keep(event: Any, tx: Tx) -> None:
            """Nothing."""

        keep.__annotations__["event"] = both
        service.handler(latest_by=field)(keep)
        await tower.start(service)
        await tower.hear(both(version=9, edition=1), f"{field} key")
        await tower.quiet()
        await tower.stop("shelf")
    assert words(tower, "shelf.keep") == ["handled", "handled"]


async def test_a_date_that_means_none_ends_no_process(tower: Processes) -> None:
    """RULES 15.1: `0001-01-01`, which some senders write for a date that they do not have, is the oldest."""
    service, ran = Service("shelf", owner="tests"), list[date]()

    @service.handler(latest_by="on")
    async def keep(event: Dated, tx: Tx) -> None:
        ran.append(event.on)

    await tower.start(service)
    for key, on in (("a", date.min), ("b", date(2026, 1, 1)), ("c", date.min)):
        await tower.hear(Dated(on=on), key)
        await tower.quiet()
    assert ran == [date.min, date(2026, 1, 1)]
    assert words(tower, "shelf.keep") == ["handled", "handled", "stale"]


async def test_a_step_waits_and_a_step_is_waited_for(tower: Processes) -> None:
    """RULES 15.4, 5.2: a step that waits has not begun; one that was handled sends who waits, with its own commit."""
    service, ran = Service("shelf", owner="tests", tables=tables), list[str]()

    @service.handler
    async def take(event: Bought, tx: Tx) -> Taken:
        ran.append("take")
        await (await tx.db()).execute(insert(noted).values(what="taken"))
        return Taken(n=1)

    @service.handler(after=take, within=WITHIN)
    async def wrap(event: Packed, tx: Tx) -> Taken:
        ran.append("wrap")
        return Taken(n=2)

    @service.handler(after=wrap, within=WITHIN)
    async def sign(event: Moved, tx: Tx) -> None:
        ran.append("sign")

    for step in (take, wrap):

        async def undo(event: Any, did: Taken | None, why: Failed, tx: Tx) -> None:
            """Nothing."""

        undo.__annotations__["event"] = Bought if step is take else Packed
        service.undo(step, Taken, name=f"undo_{step.__name__}")(undo)  # type: ignore[call-overload]

    worker = await tower.start(service)
    await tower.hear(Moved(name="x", at=datetime(2025, 1, 1, tzinfo=UTC)), "m")
    await tower.hear(Packed(), "p")
    await tower.quiet()
    async with worker.runtime.store.read() as db:
        assert not list(await db.exec_driver_sql("SELECT run FROM hocket_ledger"))
    await tower.hear(Bought(), "b")
    await tower.quiet()
    assert ran == ["take", "wrap", "sign"]
    assert words(tower, "shelf.wrap") == ["deferred", "handled"]
    await tower.hear(Packed(), "p")
    await tower.quiet()
    assert words(tower, "shelf.wrap") == ["deferred", "handled", "duplicate"]


async def rows(worker: Worker) -> int:
    """How many rows of subjects there are."""
    async with worker.runtime.store.read() as db:
        return sum([len(list(await db.execute(table.select()))) for table in (LATEST, MARKS)])


async def test_rows_live_as_long_as_the_inbox(tower: Processes) -> None:
    """RULES 15.2, 2.7: a sweep removes what the inbox has forgotten, and nothing that it still remembers."""
    short = Config(inbox_days=1 / 24, ledger_days=1 / 24, dead_days=1 / 24)
    worker = await tower.start(shelf.using(Keeper()), short)
    await tower.hear(Priced(version=5), "a")
    await tower.hear(Bought(), "b")
    await tower.quiet()
    await worker.sweeper.sweep()
    assert await rows(worker) == 2
    await asyncio.sleep((5 * HOUR).total_seconds())
    await tower.hear(Priced(version=7), "c", subject="bell/b")
    await tower.quiet()
    await worker.sweeper.sweep()
    assert await rows(worker) == 1


async def test_the_stores_clock_says_what_is_future(tower: Processes) -> None:
    """RULES 15.2, 11.1: where a value is near the bound the store is asked, whatever the process believes."""
    worker = await tower.start(shelf.using(world := Keeper()))
    store: Any = worker.runtime.store
    here, asked = store.clock.time, list[int]()

    async def an_hour_on() -> Any:
        asked.append(1)
        now = await here()
        return now._replace(now=now.now + 3600)

    store.clock.time = an_hour_on
    now = tower.clock.now()
    await tower.hear(Moved(name="a", at=now + HOUR), "a")
    await tower.quiet()
    await tower.hear(Moved(name="b", at=now), "b")
    await tower.advance(LONG)
    assert asked
    assert world.ran == ["place a"]
