"""Ordered handlers and projections hear history and go on in order, whatever their process dies at."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from hocket import Service, Tx
from hocket.delivery.ordering.lane import Lane
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.delivery.projecting.batch import BatchLane
from hocket.store.ordering.tokens import lines_of, take, token_of
from hocket.streams.backfill.filler import Filler
from hocket.streams.backfill.reading import Reading
from hocket.streams.backfill.rows import BackfillRows
from hocket.worker import Worker
from tests.hocket.sample_services import BRIEF, Ill, Processes, Rung, until

meta = MetaData()
columns = (
    Column("id", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("history", Integer, nullable=False),
)
written = Table("written", meta, *columns)
FILLED = timedelta(seconds=90)
KINDS = ["handler", "projection"]


class Book:
    """What fails, how often it still does, and what was run."""

    def __init__(self, **ill: int) -> None:
        self.ill = ill
        self.runs: list[str] = []
        self.pause = 0.0


def keeper(kind: str, book: Book, **options: Any) -> Service[None]:
    """A service that writes a row for each event; its handler or projection is `keep`."""
    service = Service("hall", owner="team", tables=meta)

    async def keep(rung: Rung, tx: Tx) -> None:
        book.runs.append(rung.name)
        await asyncio.sleep(book.pause)
        subject, n = rung.name[0], int(rung.name[1:])
        table = tx.table(written) if kind == "projection" else written
        values = {"subject": subject, "n": n, "history": int(tx.replaying)}
        await (await tx.db()).execute(insert(table).values(values))
        if book.ill.get(rung.name):
            book.ill[rung.name] -= 1
            raise Ill(rung.name)

    if kind == "projection":
        service.projection(written, retry=BRIEF, **options)(keep)
    else:
        service.handler(retry=BRIEF, since="first", **{"ordered": True, **options})(keep)
    return service


def identity(kind: str) -> str:
    """Of its one subscription."""
    return "hall.keep@1" if kind == "projection" else "hall.keep"


async def say(tower: Processes, *names: str) -> None:
    """Events whose subject is the first letter of their names."""
    for name in names:
        await tower.hear(Rung(name=name), f"key of {name}", subject=f"bell/{name[0]}")


async def rows(worker: Worker, kind: str) -> dict[str, list[int]]:
    """What was written of each subject, in order."""
    table = written if kind == "handler" else written.to_metadata(MetaData(), name="written__1")
    found: dict[str, list[int]] = {}
    async with worker.runtime.store.read() as db:
        for row in await db.execute(select(table).order_by(table.c.id)):
            found.setdefault(row.subject, []).append(row.n)
    return found


def named(letter: str, *numbers: int) -> list[str]:
    """Names of one subject."""
    return [f"{letter}{n}" for n in numbers]


#: Where the process dies: before or after each step that it has to take.
STEPS: dict[str, tuple[Any, str]] = {
    "the row is taken": (Filler, "_taken"),
    "the log is opened": (Lane, "open_history"),
    "the token is taken": (Lane, "take"),
    "the log is marked": (Reading, "_mark"),
    "the place is written": (BackfillRows, "write"),
    "the marker is folded": (Reading, "_cut_over"),
    "the queue is consumed": (OrderedRunner, "consume"),
    "the channel has gathered": (Lane, "_until_gathered"),
    "the lines are asked for": (OrderedRunner, "_answer"),
    "a batch is folded": (BatchLane, "_fold"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_keeps_the_order(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, step: str, moment: str, kind: str
) -> None:
    """RULES 7.5, 9.1, 14.1: history and the present are written once, each subject in order, also where one failed."""
    if kind == "handler" and step == "a batch is folded":
        pytest.skip("a handler folds no batches")
    owner, name = STEPS[step]
    work: Callable[..., Any] = getattr(owner, name)
    died = asyncio.Event()

    async def dies(*given: Any, **words: Any) -> Any:
        if died.is_set():
            return await work(*given, **words)
        if moment == "after":
            await work(*given, **words)
        died.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(owner, name, dies)
    book = Book(a2=2, b7=2)
    await say(tower, *named("a", 1, 2, 3), *named("b", 1, 2, 3))
    await tower.start(keeper(kind, book))
    await asyncio.wait_for(died.wait(), 300)
    await say(tower, *named("a", 4, 5))
    await tower.kill("hall")
    await say(tower, *named("b", 4, 5))
    worker = await tower.start(keeper(kind, book))
    await tower.advance(FILLED)
    await say(tower, *named("a", 6, 7, 8), *named("b", 6, 7, 8))
    await tower.advance(FILLED)
    assert await rows(worker, kind) == {"a": [*range(1, 9)], "b": [*range(1, 9)]}
    assert not await lines_of(worker.runtime.store, identity(kind), ["bell/a", "bell/b"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_one_of_history_holds_its_subject_until_it_is_replayed(tower: Processes, kind: str) -> None:
    """RULES 7.5, 9.6, 14.1: what follows it parks, in history and after; its replay lets all of it go, in order."""
    book = Book(a2=99)
    await say(tower, *named("a", 1, 2, 3, 4), *named("b", 1, 2))
    worker = await tower.start(keeper(kind, book))
    await tower.advance(FILLED)
    await say(tower, *named("a", 5, 6), *named("b", 3))
    await tower.advance(FILLED)
    assert await rows(worker, kind) == {"a": [1], "b": [1, 2, 3]}
    [letter] = tower.letters()
    line = (await lines_of(worker.runtime.store, identity(kind), ["bell/a"]))["bell/a"]
    assert (line.death, line.waiting) == (letter.headers["hocket-death-id"], 4)
    assert not [each for each in tower.broker.names() if each.endswith(".history")]
    assert worker.reporter.blocked.sample[f"{identity(kind)}.ordered"][0] == 1
    book.ill.clear()
    queue, death = str(letter.headers["hocket-death-subscription"]), str(letter.headers["hocket-death-id"])
    await worker.send(queue, letter.body, letter.content_type, replay=death, attempt=6)
    await tower.advance(FILLED)
    assert await rows(worker, kind) == {"a": [1, 2, 3, 4, 5, 6], "b": [1, 2, 3]}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_discarded_one_lets_its_subject_go(tower: Processes, kind: str) -> None:
    """RULES 9.6, 14.1: the desk's word on a letter reaches the subscription, also a projection's generation."""
    book = Book(a2=99)
    await say(tower, *named("a", 1, 2, 3))
    worker = await tower.start(keeper(kind, book))
    await tower.advance(FILLED)
    [letter] = tower.letters()
    queue, death = str(letter.headers["hocket-death-subscription"]), str(letter.headers["hocket-death-id"])
    await worker.send(queue, letter.body, letter.content_type, death=death, attempt=6)
    await tower.advance(FILLED)
    assert await rows(worker, kind) == {"a": [1, 3]}


async def test_what_is_tried_again_of_history_is_history(tower: Processes) -> None:
    """RULES 7.5: it comes by the subscription's own queue after the cut-over, and `tx.replaying` is true."""
    book = Book(a2=2)
    await say(tower, *named("a", 1, 2, 3))
    worker = await tower.start(keeper("handler", book))
    await tower.advance(FILLED)
    await say(tower, "a4")
    await tower.advance(FILLED)
    async with worker.runtime.store.read() as db:
        found = {row.n: row.history for row in await db.execute(select(written))}
    assert found == {1: 1, 2: 1, 3: 1, 4: 0}
    assert book.runs == named("a", 1, 2, 2, 2, 3, 4)


async def test_a_deposed_reader_writes_nothing_and_opens_the_log_again(tower: Processes) -> None:
    """RULES 7.5, 9.1: the token fences it; as long as it holds the row it takes the next one, and reads on."""
    book = Book()
    await say(tower, *named("a", 1, 2))
    worker = await tower.start(keeper("handler", book))
    await until(lambda: len(book.runs) == 2)
    store = worker.runtime.store
    seen = await token_of(store, "hall.keep")
    assert await take(store, "hall.keep", "somebody", 1.0, seen) is not None
    await say(tower, *named("a", 3, 4))
    await tower.advance(FILLED)
    assert await rows(worker, "handler") == {"a": [1, 2, 3, 4]}
    assert await token_of(store, "hall.keep") >= seen + 3, "another's, the reader's next one, and the queue's"
    assert not await lines_of(store, "hall.keep", ["bell/a"])


async def test_a_hot_subject_of_history_is_not_parked(tower: Processes) -> None:
    """RULES 9.9: what waits behind a head of history waits in the log, where it fills nobody's window."""
    book = Book()
    book.pause = 0.1
    await say(tower, *named("a", *range(100)))
    worker = await tower.start(keeper("handler", book))
    await tower.advance(FILLED)
    assert await rows(worker, "handler") == {"a": [*range(100)]}
    assert {each["outcome"] for each in tower.receipts() if each["kind"] == "receipt"} == {"handled"}


async def test_what_was_tried_again_in_no_order_is_not_forgotten(tower: Processes) -> None:
    """RULES 9.10, 7.5: switched to order while a retry of history waits in the queue beside, that is emptied too."""
    book = Book(a2=99)
    await say(tower, *named("a", 1, 2, 3))
    await tower.start(keeper("handler", book, ordered=False))
    await until(lambda: "a2" in book.runs)
    await tower.kill("hall")
    book.ill.clear()
    worker = await tower.start(keeper("handler", book))
    await tower.advance(FILLED)
    await say(tower, "a4")
    await tower.advance(FILLED)
    found = (await rows(worker, "handler"))["a"]
    assert (sorted(found), found[-1]) == ([1, 2, 3, 4], 4)
