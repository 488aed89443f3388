"""The reader of history compares the log with what it has read, and gives way to live work (RULES 7.5 c, d, g)."""

import asyncio

import pytest

from hocket.broker.topology import LOG, kit
from hocket.config import Config
from hocket.streams.backfill.filler import Filler
from hocket.streams.backfill.reading import Reading
from hocket.streams.backfill.state import Phase
from hocket.worker import Worker
from hocket.worker.http.operator import CommandRefused
from tests.hocket.annals import QUEUE, Book, annals, row_of, say, written
from tests.hocket.sample_services import Processes, until

SLOW = Config.model_construct(backfill_marker_seconds=600.0)


async def _read(tower: Processes, book: Book, *names: str) -> Worker:
    """A backfill that has read these and stored its place."""
    await say(tower, *names)
    worker = await tower.start(annals(book), SLOW)
    await until(lambda: len(book.heard) == len(names))
    await until(lambda: worker.backfills.fillers[QUEUE].progress.figures.next == len(names))
    return worker


async def never(*_: object) -> None:
    """A process that dies before it takes the row."""
    await asyncio.Event().wait()


async def _accept(worker: Worker) -> None:
    await worker.commands["backfill"]({"do": "accept-gap", "subscription": QUEUE})


async def test_a_cut_before_what_was_read_is_none(tower: Processes) -> None:
    """RULES 7.5 d: retention may remove what was read, all but the last of it."""
    book = Book()
    await _read(tower, book, "a", "b", "c")
    tower.broker.truncate(LOG, 2)
    tower.broker.cut("annals")
    await say(tower, "d")
    await until(lambda: book.names == ["a", "b", "c", "d"])


async def test_a_cut_of_what_was_not_read_fails_until_a_person_accepts_it(tower: Processes) -> None:
    """RULES 7.5 d: what is missing is counted and said; what is new waits, and nothing is handled in its place."""
    book = Book()
    await _read(tower, book, "a", "b")
    await tower.kill("annals")
    await say(tower, "c", "d", "e")
    tower.broker.truncate(LOG, 4)
    worker = await tower.start(annals(book), SLOW)
    await tower.quiet()
    row = await row_of(worker)
    assert row.phase is Phase.FAILED
    assert "removed 2 messages" in row.reason
    assert any("--accept-gap" in reason for reason in worker.health())
    assert book.names == ["a", "b"]
    await _accept(worker)
    await until(lambda: book.names == ["a", "b", "e"])
    await tower.quiet()
    assert (await row_of(worker)).missed == 2
    assert sorted(await written(worker)) == ["a", "b", "c", "d", "e"], "what was bound has come by the queue"


async def test_a_cut_while_it_reads_is_noticed(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 7.5 d: a reader that lags loses what it has not read yet, without a new opening."""
    book, may_feed = Book(), Reading._may_feed  # noqa: SLF001 -- a reader that lags
    stopped = [False]
    monkeypatch.setattr(Reading, "_may_feed", lambda self: not stopped[0] and may_feed(self))
    monkeypatch.setattr("hocket.streams.backfill.reading.PREFETCH", 2)
    worker = await _read(tower, book, "a", "b")
    stopped[0] = True
    await say(tower, "c", "d", "e", "f", "g")
    tower.broker.truncate(LOG, 6)
    stopped[0] = False
    await until(lambda: worker.backfills.fillers[QUEUE].row.phase is Phase.FAILED)  # type: ignore[union-attr]
    assert book.names == ["a", "b", "c", "d"]
    assert "removed 2 messages" in (await row_of(worker)).reason


@pytest.mark.parametrize("again", [0, 1, 2, 5])
async def test_a_log_that_was_made_anew_fails_until_a_person_accepts_it(tower: Processes, again: int) -> None:
    """RULES 7.5 d, 7.3: shorter, as long or longer than before, another log is not read as if it was the same."""
    book = Book()
    await _read(tower, book, "a", "b")
    await tower.kill("annals")
    remake(tower)
    await say(tower, *(f"n{number}" for number in range(again)))
    worker = await tower.start(annals(book), SLOW)
    await tower.quiet()
    row = await row_of(worker)
    assert row.phase is Phase.FAILED
    assert "made anew" in row.reason
    await _accept(worker)
    await until(lambda: worker.backfills.fillers[QUEUE].live)
    await tower.quiet()
    assert sorted(await written(worker)) == ["a", "b", *(f"n{number}" for number in range(again))]
    assert (await row_of(worker)).phase is Phase.LIVE


async def test_a_log_that_was_made_anew_before_anything_was_read_is_noticed(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 7.5 d: at the start the message is compared that stood there when it was noted."""
    book = Book()
    await say(tower, "a", "b")
    taken = Filler._taken  # noqa: SLF001 -- where the process dies
    monkeypatch.setattr(Filler, "_taken", never)
    worker = await tower.start(annals(book), SLOW)
    await until(lambda: bool(worker.backfills.fillers))
    await tower.kill("annals")
    monkeypatch.setattr(Filler, "_taken", taken)
    remake(tower)
    await say(tower, "x", "y")
    worker = await tower.start(annals(book), SLOW)
    await tower.quiet()
    assert (await row_of(worker)).phase is Phase.FAILED


async def test_only_a_failed_one_has_a_gap_to_accept(tower: Processes) -> None:
    """RULES 7.5 d: the command says what it is for."""
    book = Book()
    worker = await _read(tower, book, "a")
    with pytest.raises(CommandRefused, match="is reading"):
        await _accept(worker)
    with pytest.raises(CommandRefused, match=r"annals\.write"):
        await worker.commands["backfill"]({"do": "go-on", "subscription": "annals.other"})


def remake(tower: Processes) -> None:
    """Delete the log and declare it again."""
    tower.broker.remove(LOG)
    tower.broker.declare(kit())
    tower.broker.declare(annals(Book()).declarations.topology())
