"""RULES 9.6 to 9.8 through whole services: which death blocks its subject, and what lets it go on."""

from typing import Any

from hocket import Death
from hocket.store.ordering.tokens import blocked
from hocket.worker import Worker
from tests.hocket.delivery.ordering.test_runner import SOON, Book, hear, services, start, waiting
from tests.hocket.sample_services import LONG, Cracked, Processes, Rung, World, message_of


async def replay(tower: Processes, worker: Worker, name: str) -> None:
    """As the desk replays the last letter of this event."""
    letter = [each for each in tower.letters() if f'"{name}"'.encode() in each.body][-1]
    attempt = int(str(letter.headers["hocket-death-attempt"])) + 1
    await worker.send("rows.ring.ordered", letter.body, letter.content_type, replay=f"r-{attempt}", attempt=attempt)


async def test_a_dead_head_blocks_its_subject_alone(tower: Processes) -> None:
    """RULES 9.6, 9.9: nothing of it runs until it is replayed; other subjects do; its letter says so."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2")
    await tower.advance(LONG)
    await hear(tower, "3")
    await hear(tower, "8", "9", subject="bell/other")
    await tower.advance(LONG)
    assert book.handled == ["8", "9"]
    [letter] = tower.letters()
    assert letter.headers["hocket-death-blocks"] == "bell/a"
    assert letter.headers["hocket-death-waiting"] == 1
    found = await blocked(worker.runtime.store)
    assert (found["rows.ring"].subjects, found["rows.ring"].waiting) == (1, 2)
    book.ill.clear()
    await replay(tower, worker, "1")
    await tower.advance(LONG)
    assert book.handled == ["8", "9", "1", "2", "3"]
    assert await blocked(worker.runtime.store) == {}


async def test_a_replay_that_dies_blocks_on(tower: Processes) -> None:
    """RULES 9.6, 8.1: the same letter again, and nothing went on meanwhile."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2")
    await tower.advance(LONG)
    await replay(tower, worker, "1")
    await tower.advance(LONG)
    first, second = tower.letters()
    assert first.headers["hocket-death-id"] == second.headers["hocket-death-id"]
    assert book.handled == []
    assert (await blocked(worker.runtime.store))["rows.ring"].subjects == 1


async def discard(tower: Processes, worker: Worker, death: str = "") -> None:
    """As the desk lets the head of the last letter go."""
    letter = tower.letters()[-1]
    attempt = int(str(letter.headers["hocket-death-attempt"]))
    await worker.send(
        "rows.ring.ordered", letter.body, letter.content_type, attempt=attempt,
        death=death or str(letter.headers["hocket-death-id"]),
    )  # fmt: skip


async def test_a_discard_lets_the_next_go(tower: Processes) -> None:
    """RULES 9.6: the desk's word reaches the subscription; said again, or of another death, it finds nothing to do."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2", "3")
    await tower.advance(LONG)
    await discard(tower, worker, "another-death")
    await tower.advance(SOON)
    assert book.handled == []
    await discard(tower, worker)
    await tower.advance(SOON)
    assert book.handled == ["2", "3"]
    receipts = len(tower.receipts())
    await discard(tower, worker)
    await tower.advance(SOON)
    assert book.handled == ["2", "3"]
    assert len(tower.receipts()) == receipts


async def test_what_was_let_go_is_replayed_out_of_its_place(tower: Processes) -> None:
    """RULES 9.6, 9.7: it runs beside its subject, and holds nobody when it fails again."""
    book = Book("1")
    worker = await start(tower, book)
    await hear(tower, "1", "2")
    await tower.advance(LONG)
    await discard(tower, worker)
    await tower.advance(SOON)
    await replay(tower, worker, "1")
    await tower.quiet()
    await hear(tower, "3")
    await tower.quiet()
    assert book.handled == ["2", "3"]
    book.ill.clear()
    await tower.advance(LONG)
    assert book.handled == ["2", "3", "1"]


async def test_skip_lets_successors_go(tower: Processes) -> None:
    """RULES 9.7: in the transaction of the burial."""
    book = Book("1")
    worker = await start(tower, book, ordered="skip")
    await hear(tower, "1", "2", "3")
    await tower.quiet()
    assert book.handled == []
    await tower.advance(LONG)
    assert book.handled == ["2", "3"]
    [letter] = tower.letters()
    assert "hocket-death-blocks" not in letter.headers
    assert await waiting(worker) is None


async def test_a_head_whose_on_dead_spoke_does_not_block(tower: Processes) -> None:
    """RULES 9.8: its replay would end obsolete, so nobody could let its successors go."""
    book = Book("1")
    service = services()
    ring: Any = service.declarations.subscriptions["rows.ring.ordered"].call

    @service.on_dead(ring)
    def cracked(rung: Rung, death: Death) -> Cracked:
        return Cracked(name=rung.name, why=death.cause)

    worker = await tower.start(service.using(World(behave=book.behave)))
    await hear(tower, "1", "2")
    await tower.advance(LONG)
    assert book.handled == ["2"]
    assert await waiting(worker) is None


async def test_what_cannot_be_read_but_mended_blocks(tower: Processes) -> None:
    """RULES 9.8: an invalid one writes its inbox row and blocks; what is no event, or a conflict, does not."""
    book = Book()
    worker = await start(tower, book)
    broken = message_of(Rung(name="1"), "1", tower.clock)
    await tower.post.publish([broken._replace(body=broken.body.replace(b'"name":"1"', b'"nome":"1"'))])
    await tower.post.publish([broken._replace(body=b"{")])
    await hear(tower, "2")
    await tower.advance(SOON)
    assert book.handled == []
    assert sorted(str(each.headers["hocket-death-cause"]) for each in tower.letters()) == ["invalid", "undecodable"]
    assert (await blocked(worker.runtime.store))["rows.ring"].subjects == 1
    [letter] = [each for each in tower.letters() if each.headers["hocket-death-cause"] == "invalid"]
    death = str(letter.headers["hocket-death-id"])
    await worker.send("rows.ring.ordered", letter.body, letter.content_type, attempt=1, death=death)
    await tower.advance(SOON)
    assert book.handled == ["2"]
    await tower.hear(Rung(name="other"), "2")
    await hear(tower, "3")
    await tower.advance(SOON)
    assert book.handled == ["2", "3"]


async def test_an_invalid_one_that_comes_again_is_seen(tower: Processes) -> None:
    """RULES 9.8, 2.1: its row says that it is dead."""
    await start(tower, Book())
    broken = message_of(Rung(name="1"), "1", tower.clock)
    broken = broken._replace(body=broken.body.replace(b'"name":"1"', b'"nome":"1"'))
    await tower.post.publish([broken, broken])
    await tower.advance(SOON)
    await tower.post.publish([broken])
    await tower.advance(SOON)
    assert len(tower.letters()) == 1


async def test_who_dies_when_it_was_released_tells_how_many_wait(tower: Processes) -> None:
    """RULES 9.5, 9.6: what an own commit has released is known as the head, with what waits behind it."""
    book = Book("1", "3")
    worker = await start(tower, book)
    await hear(tower, "1", "2", "3", "4", "5")
    await tower.advance(LONG)
    assert tower.letters()[-1].headers["hocket-death-waiting"] == 4
    book.ill.remove("1")
    await replay(tower, worker, "1")
    await tower.advance(LONG)
    assert book.handled == ["1", "2"]
    assert tower.letters()[-1].headers["hocket-death-waiting"] == 2
    assert (await blocked(worker.runtime.store))["rows.ring"].waiting == 2
