"""RULES 9 through whole services on the memory broker: what waits behind a head, and how it is let go."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from hocket import Heard, Service, Tx
from hocket.delivery.ordering import runner
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.store.ordering.tokens import lines_of
from hocket.store.records import LineChange
from hocket.worker import Worker
from tests.hocket.sample_services import (
    BRIEF,
    LONG,
    Ill,
    Processes,
    Rung,
    World,
    book,
    booked,
    message_of,
    tables,
    uses,
)

SOON = timedelta(seconds=5)
Behave = Callable[[Any, Tx[World]], Awaitable[None]]


def services(**options: Any) -> Service[World]:
    """A service with one ordered handler."""
    made = Service("rows", owner="team-tower", uses=uses, tables=tables)

    @made.handler(retry=BRIEF, **{"ordered": True, **options})
    async def ring(rung: Rung, tx: Tx[World]) -> None:
        tx.use.attempts.append(tx.attempt)
        await tx.use.behave(rung, tx)

    return made


class Book:
    """What was handled, in order, and what fails."""

    def __init__(self, *ill: str) -> None:
        self.ill = set(ill)
        self.runs: list[str] = []
        self.handled: list[str] = []

    async def behave(self, rung: Rung, tx: Tx[World]) -> None:
        """Fail or be handled."""
        self.runs.append(rung.name)
        if rung.name in self.ill:
            raise Ill(rung.name)
        self.handled.append(rung.name)


async def hear(tower: Processes, *names: str, subject: str = "bell/a", **attributes: Any) -> None:
    """Publish these, in this order."""
    messages = [message_of(Rung(name=name), name, tower.clock, subject=subject, **attributes) for name in names]
    await tower.post.publish(messages)


async def start(tower: Processes, book: Book, **options: Any) -> Worker:
    """A process whose handler behaves as the book says."""
    return await tower.start(services(**options).using(World(behave=book.behave)))


async def waiting(worker: Worker, subject: str = "bell/a") -> int | None:
    """How many wait behind the head of this subject; None: it has no line."""
    line = (await lines_of(worker.runtime.store, "rows.ring", [subject])).get(subject)
    return None if line is None else line.waiting


async def test_a_subject_is_handled_in_order_and_one_at_a_time(tower: Processes) -> None:
    """RULES 9.3: runs of one subject never overlap; other subjects run beside it."""
    now: dict[str, int] = {}
    most: list[tuple[int, int]] = []
    done: dict[str, list[str]] = {}

    async def slowly(rung: Rung, tx: Tx[World]) -> None:
        subject = rung.name[0]
        now[subject] = now.get(subject, 0) + 1
        most.append((now[subject], sum(now.values())))
        await asyncio.sleep(0.1)
        now[subject] -= 1
        done.setdefault(subject, []).append(rung.name)

    await tower.start(services().using(World(behave=slowly)))
    for n in range(20):
        await hear(tower, f"a{n}", subject="bell/a")
        await hear(tower, f"b{n}", subject="bell/b")
    await tower.quiet()
    assert done == {each: [f"{each}{n}" for n in range(20)] for each in "ab"}
    assert (max(own for own, _ in most), max(every for _, every in most)) == (1, 2)


async def test_successors_of_a_failed_one_wait_for_its_retry(tower: Processes) -> None:
    """RULES 9.4, 9.5: they are parked, and each end sends the next."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2", "3")
    await hear(tower, "9", subject="bell/other")
    await tower.quiet()
    assert book.handled == ["9"]
    assert await waiting(worker) == 2
    book.ill.clear()
    await hear(tower, "4")
    await tower.advance(SOON)
    assert book.handled == ["9", "1", "2", "3", "4"]
    assert await waiting(worker) is None
    await hear(tower, "5")
    await tower.quiet()
    assert book.handled[-1] == "5"


async def test_a_full_quarter_behind_one_that_runs_is_parked(tower: Processes) -> None:
    """RULES 9.9: a slow subject never fills the window; what waited follows in order."""
    book, go = Book(), asyncio.Event()

    async def hang(rung: Rung, tx: Tx[World]) -> None:
        if rung.name == "0":
            await go.wait()
        await book.behave(rung, tx)

    worker = await tower.start(services(timeout=timedelta(hours=1)).using(World(behave=hang)))
    for n in range(150):
        await hear(tower, f"{n}")
    await hear(tower, "other", subject="bell/other")
    await asyncio.sleep(30)
    assert book.handled == ["other"]
    assert (await waiting(worker) or 0) > 100
    go.set()
    await tower.advance(LONG)
    assert book.handled == ["other", *(f"{n}" for n in range(150))]


@pytest.mark.parametrize("way", ["kill", "stop", "cut"])
async def test_order_outlives_a_process(tower: Processes, way: str) -> None:
    """RULES 9.1, 9.2, 9.4: what a process held, and the lines in its database, are taken up in order by the next."""
    book = Book("3")

    async def slowly(rung: Rung, tx: Tx[World]) -> None:
        await asyncio.sleep(0.5)
        await book.behave(rung, tx)

    service = services().using(World(behave=slowly))
    await tower.start(service)
    await hear(tower, *map(str, range(30)))
    await asyncio.sleep(2.2)
    if way == "cut":
        tower.broker.cut("rows")
        await asyncio.sleep(2)
    else:
        await getattr(tower, way)("rows")
    assert book.handled == ["0", "1", "2"]
    book.ill.clear()
    if way != "cut":
        await tower.start(service)
    await tower.advance(LONG)
    assert book.handled == [str(n) for n in range(30)]


async def test_a_handlers_own_transaction_keeps_the_order(tower: Processes) -> None:
    """RULES 9.1, 9.5: its ending carries token and release too."""
    ill = {"1"}

    async def write(rung: Rung, tx: Tx[World]) -> None:
        await tx.db()
        if rung.name in ill:
            raise Ill
        await book(rung, tx)

    worker = await tower.start(services().using(World(behave=write)))
    await hear(tower, "1", "2", "3")
    await tower.quiet()
    ill.clear()
    await tower.advance(SOON)
    assert await booked(worker) == ["1", "2", "3"]


async def test_copies_change_nothing(tower: Processes) -> None:
    """RULES 9.4: a copy of the head, of what is parked and of what was handled is seen."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2", "1", "2", "3", "2")
    await tower.quiet()
    assert await waiting(worker) == 2
    book.ill.clear()
    await tower.advance(SOON)
    await hear(tower, "1", "2", "3")
    await tower.advance(SOON)
    assert book.handled == ["1", "2", "3"]


async def test_an_event_without_a_subject_has_no_order(tower: Processes) -> None:
    """RULES 9.4: nobody waits for it."""
    book = Book("1")
    await start(tower, book)
    both = [message_of(Rung(name=name), name, tower.clock) for name in ("1", "2")]
    await tower.post.publish([each._replace(body=each.body.replace(b'"subject":"bell/a",', b"")) for each in both])
    await tower.quiet()
    assert book.handled == ["2"]


async def test_a_store_that_fails_keeps_the_order(tower: Processes) -> None:
    """RULES 9.3, 3.2: what is looked up again keeps its place."""
    book = Book()
    worker = await start(tower, book)
    store: Any = worker.runtime.store

    async def break_it(rung: Heard, tx: Tx[World]) -> None:
        if rung.name == "1" and not book.runs:  # type: ignore[attr-defined]
            book.runs.append("1")
            store.broken = "away"
            asyncio.get_running_loop().call_later(3, setattr, store, "broken", "")
            await tx.db()
        await book.behave(rung, tx)  # type: ignore[arg-type]

    worker.handling.use.behave = break_it
    await hear(tower, "1", "2", "3")
    await tower.advance(LONG)
    assert book.handled == ["1", "2", "3"]


async def test_a_park_that_cannot_be_written_is_no_letter_in_a_line(tower: Processes) -> None:
    """RULES 9.4, 3.2: it ends as any delivery whose ending the database refuses, and its subject goes on."""
    book = Book("1")
    worker = await start(tower, book)
    store: Any = worker.runtime.store

    def refuses(endings: Any) -> Exception | None:
        parks = any(each.ordered is not None and each.ordered.change is LineChange.PARK for each in endings)
        return ValueError("it cannot be written") if parks else None

    store.refuses = refuses
    await hear(tower, "1", "2")
    await tower.quiet()
    store.refuses = lambda endings: None
    book.ill.clear()
    await tower.advance(LONG)
    assert sorted(book.handled) == ["1", "2"]
    assert await waiting(worker) is None


async def test_what_is_released_runs_without_a_look_at_its_line(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 9.5: under its own token a process knows whom its commit has released; the store is not asked again."""
    looks: list[list[str]] = []

    async def looked(store: Any, subscription: str, subjects: Any) -> Any:
        looks.append(list(subjects))
        return await lines_of(store, subscription, subjects)

    monkeypatch.setattr(runner, "lines_of", looked)
    book, names = Book("0"), [str(n) for n in range(20)]
    worker = await start(tower, book)
    await hear(tower, *names)
    while await waiting(worker) != 19:  # noqa: ASYNC110 -- each has its commit
        await asyncio.sleep(0.01)
    book.ill.clear()
    looks.clear()
    await tower.advance(LONG)
    assert book.handled == names
    assert len(looks) <= 2


async def test_subjects_whose_lines_have_ended_are_forgotten(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 9.4: a subject that failed once costs memory and looks as long as it has a line, not longer."""
    monkeypatch.setattr("hocket.delivery.ordering.lane.MANY_LINED", 10)
    failed: set[str] = set()

    async def once(rung: Rung, tx: Tx[World]) -> None:
        if rung.name not in failed:
            failed.add(rung.name)
            raise Ill(rung.name)
        if rung.name == "n0":
            raise Ill(rung.name)

    worker = await tower.start(services().using(World(behave=once)))
    for some in range(0, 40, 5):
        for n in range(some, some + 5):
            await hear(tower, f"n{n}", subject=f"bell/{n}")
        await tower.advance(timedelta(seconds=30))
    ordered = worker.runners["rows.ring.ordered"]
    assert isinstance(ordered, OrderedRunner)
    assert await waiting(worker, "bell/0") == 0
    assert "bell/0" in ordered.lane.lined
    assert len(ordered.lane.lined) <= 15
