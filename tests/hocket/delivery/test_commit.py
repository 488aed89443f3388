"""Station commit: groups, losers, bad neighbours, and a store that fails."""

import asyncio
import sqlite3
from collections.abc import Sequence

import pytest

from hocket import Tx
from hocket.delivery.arrival import Arrival
from hocket.delivery.decode import decode
from hocket.envelope.keys import derived_key
from hocket.errors import StoreError
from hocket.outcome import Done
from hocket.store.records import Ending, InboxState, RowKind, Written
from hocket.worker import Worker
from hocket.worker import worker as worker_module
from tests.hocket.sample_services import (
    FLOW,
    LONG,
    Echoed,
    FaultyStore,
    Processes,
    Rung,
    World,
    bells,
    book,
    booked,
    delivery_of,
    echo,
    message_of,
    until,
)

RUNG = Rung(name="a")


def store_of(worker: Worker) -> FaultyStore:
    """The store of a worker, with its faults."""
    assert isinstance(worker.runtime.store, FaultyStore)
    return worker.runtime.store


def endings_of(endings: Sequence[Ending], name: str) -> list[Ending]:
    """Those of the deliveries whose key is `name`, letters included."""
    return [each for each in endings if each.inbox and each.inbox.row.event_id == name]


async def test_receipts_of_one_commit_are_one_row(tower: Processes) -> None:
    """RULES 3.4: one outbox row a commit, however many attempts it holds."""
    await tower.start(bells.using(World(behave=echo)))
    before = tower.broker.depth("hocket.receipts")
    await tower.post.publish([message_of(RUNG, f"k{number}", tower.clock) for number in range(20)])
    await tower.quiet()
    assert len(tower.receipts()) == 20
    assert tower.broker.depth("hocket.receipts") - before < 5


async def test_a_losing_copy_is_dropped_and_looked_up_again(tower: Processes) -> None:
    """RULES 3.1: of two runs of one delivery the second to commit leaves nothing, its neighbours everything."""
    worker = await tower.start(bells.using(World(behave=echo)))
    held = tower.broker

    async def slow(rung: Rung, tx: Tx[World]) -> Echoed:
        if rung.name == "a":
            await worker.runtime.store.commit([_stolen(worker, tower)])
        return Echoed(name=rung.name)

    worker.handling.use.behave = slow
    await tower.hear(RUNG, "k")
    await tower.hear(Rung(name="b"), "k2")
    await tower.quiet()
    assert [each.data["name"] for each in tower.log() if each.type == "bell.echoed"] == ["b"]
    assert sorted(each["outcome"] for each in tower.receipts()) == ["duplicate", "handled"]
    assert held.depth("bells.ring") == 0


def _stolen(worker: Worker, tower: Processes) -> Ending:
    """What another run of the delivery `k` commits first."""
    lane = worker.runners["bells.ring"]
    assert lane.consumer is not None
    delivery = delivery_of(message_of(RUNG, "k", tower.clock), "bells.ring")
    arrival = Arrival(delivery, lane.consumer, lane.subscription, tower.clock.now())
    decode(arrival)
    arrival.outcome, arrival.ended = Done(), tower.clock.now()
    ending, _ = worker.committer.recorder.ending(arrival, None)
    return Ending(inbox=ending.inbox)


async def test_a_losing_transaction_of_its_own_stops_at_the_claim(tower: Processes) -> None:
    """RULES 3.1: the handler's own transaction begins with the inbox write; a loser writes nothing."""
    worker = await tower.start(bells.using(World()))
    reached: list[str] = []

    async def late(rung: Rung, tx: Tx[World]) -> Echoed:
        await worker.runtime.store.commit([_stolen(worker, tower)])
        try:
            return await book(rung, tx)
        except BaseException:  # noqa: BLE001 -- a team's code may swallow anything
            reached.append("lost")
            return Echoed(name=rung.name)

    worker.handling.use.behave = late
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert reached == ["lost"]
    assert await booked(worker) == []
    assert not [each for each in tower.log() if each.type == "bell.echoed"]
    assert [each["outcome"] for each in tower.receipts()] == ["duplicate"]


async def test_a_bad_neighbour_takes_nobody_along(tower: Processes) -> None:
    """RULES 3.1: an error of one row repeats the batch one by one; the bad one is its own failed attempt."""
    worker = await tower.start(bells.using(World(behave=echo)))
    bad = OverflowError("the value does not fit")
    store_of(worker).refuses = lambda endings: bad if any(_done(each) for each in endings_of(endings, "bad")) else None
    for name in ("k1", "bad", "k2"):
        await tower.hear(RUNG, name)
    await tower.advance(LONG)
    words = [(each["event"]["id"], each["outcome"]) for each in tower.receipts()]
    assert ("k1", "handled") in words
    assert ("k2", "handled") in words
    assert [word for id, word in words if id == "bad"] == ["retry"] * 4 + ["dead"]
    assert [each.headers["hocket-death-cause"] for each in tower.letters()] == ["OverflowError"]


def _done(ending: Ending) -> bool:
    return ending.inbox is not None and ending.inbox.row.state is InboxState.HANDLED


async def test_what_cannot_be_written_at_all_becomes_a_letter(tower: Processes) -> None:
    """RULES 3.2: where its failure cannot be written either it is buried with the little that is known, at once."""
    worker = await tower.start(bells.using(World(behave=echo)))
    store_of(worker).refuses = lambda endings: OverflowError("no") if endings_of(endings, "bad") else None
    await tower.hear(RUNG, "bad")
    await tower.hear(RUNG, "good")
    await tower.quiet()
    assert worker.live
    assert [each.headers["hocket-death-cause"] for each in tower.letters()] == ["unwritable"]


async def test_what_not_even_a_letter_can_say_is_given_back(tower: Processes) -> None:
    """RULES 1.3, 3.2: no endless loop in the kit: the broker's delivery limit is the last net."""
    worker = await tower.start(bells.using(World(behave=echo)))

    def refuses(endings: Sequence[Ending]) -> Exception | None:
        letters = [row for each in endings for row in each.outbox if row.kind is RowKind.LETTER]
        return OverflowError("no") if letters or endings_of(endings, "bad") else None

    store_of(worker).refuses = refuses
    await tower.hear(RUNG, "bad")
    await tower.hear(RUNG, "good")
    await until(lambda: bool(tower.letters()))
    await tower.quiet()
    assert worker.live
    [letter] = tower.letters()
    assert letter.headers["x-first-death-reason"] == "delivery_limit"
    assert [(each["event"]["id"], each["outcome"]) for each in tower.receipts()] == [("good", "handled")]


async def test_a_failing_store_pauses_intake_and_burns_nothing(tower: Processes) -> None:
    """RULES 3.2: no attempt is used, readiness says why, and then it goes on."""
    world = World(behave=echo)
    worker = await tower.start(bells.using(world))
    await tower.hear(RUNG, "k0")
    await tower.quiet()
    store_of(worker).broken = "database x cannot grow, the disk is full"
    for number in range(300):
        await tower.hear(RUNG, f"k{number}")
    await asyncio.sleep(60)
    assert any("disk is full" in reason for reason in worker.health())
    assert len(world.attempts) <= 65
    store_of(worker).broken = ""
    await tower.quiet()
    assert worker.health() == []
    assert set(world.attempts) == {1}
    assert len([each for each in tower.receipts() if each["outcome"] == "handled"]) == 300
    assert not tower.letters()


async def test_a_store_that_fails_under_a_handler_of_its_own_transaction(tower: Processes) -> None:
    """RULES 3.2: it is asked again after a pause that grows, not in a circle; the outside is not hammered."""
    world = World()
    worker = await tower.start(bells.using(world))

    async def write(rung: Rung, tx: Tx[World]) -> Echoed:
        said = await book(rung, tx)
        store_of(worker).broken = "database x cannot grow" if len(world.attempts) < 10 else ""
        return said

    world.behave = write
    await tower.hear(RUNG, "k")
    began = tower.clock.monotonic()
    await until(lambda: bool(store_of(worker).broken))
    await asyncio.sleep(30)
    assert len(world.attempts) == 1
    assert any("cannot grow" in reason for reason in worker.health())
    store_of(worker).broken = ""
    world.behave = book
    await tower.quiet()
    assert world.attempts == [1, 1]
    assert await booked(worker) == ["a"]
    assert tower.clock.monotonic() - began < 60


async def test_a_store_error_of_a_handler_counts_where_the_store_takes_writes(tower: Processes) -> None:
    """RULES 3.2: whatever a handler raises, it is the store's only if a write of the kit's own fails too."""
    world = World()
    worker = await tower.start(bells.using(world))

    async def write(rung: Rung, tx: Tx[World]) -> Echoed:
        await tx.db()
        raise StoreError("database x cannot grow, the disk is full")

    world.behave = write
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert world.attempts == [1, 2, 3, 4, 5]
    assert worker.health() == []
    assert [each.headers["hocket-death-cause"] for each in tower.letters()] == ["StoreError"]


async def test_a_store_error_that_follows_one_delivery_is_its_own(tower: Processes) -> None:
    """RULES 3.2: it repeats alone while an empty write succeeds: a failed attempt; the neighbours are handled."""
    worker = await tower.start(bells.using(World(behave=echo)))
    nul = StoreError("the text holds a NUL")
    store_of(worker).refuses = lambda endings: nul if any(_done(each) for each in endings_of(endings, "bad")) else None
    for name in ("k1", "bad", "k2"):
        await tower.hear(RUNG, name)
    await tower.advance(LONG)
    words = [(each["event"]["id"], each["outcome"]) for each in tower.receipts()]
    assert ("k1", "handled") in words
    assert ("k2", "handled") in words
    assert [word for id, word in words if id == "bad"] == ["retry"] * 4 + ["dead"]
    assert worker.health() == []


async def test_a_commit_of_unknown_outcome_is_looked_up(tower: Processes) -> None:
    """RULES 3.2: it was written after all: no second effect, and what it said is published."""
    worker = await tower.start(bells.using(World(behave=echo)))
    store = store_of(worker)
    real = FaultyStore.commit
    cut: list[str] = []

    class Cut(FaultyStore):
        async def commit(self, endings: Sequence[Ending]) -> list[Written]:
            written = await real(self, endings)
            if endings_of(endings, "k") and not cut:
                cut.append("after the commit")
                raise StoreError("the disk answered with an error")
            return written

    store.__class__ = Cut
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert cut
    assert [each.data["name"] for each in tower.log() if each.type == "bell.echoed"] == ["a"]
    assert [each["outcome"] for each in tower.receipts()] == ["handled", "duplicate"]


async def test_an_arrival_of_a_recorded_attempt_is_settled(tower: Processes) -> None:
    """RULES 3.5: a crash between commit and ack makes no second track."""
    world = World(behave=echo)
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    for attempt in (1, 2, 3):
        await tower.post.publish([message_of(RUNG, "k", tower.clock, headers={"hocket-attempt": attempt})])
    await tower.quiet()
    assert world.attempts == [1]
    assert tower.broker.depth("bells.ring") == 0


@pytest.mark.parametrize("first", ["fails", "says"])
async def test_a_crash_between_commit_and_ack_makes_no_second_track(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """RULES 3.5: what comes again is settled, and what its commit left pending goes out, once."""
    world = World()

    async def ring(rung: Rung, tx: Tx[World]) -> Echoed:
        if first == "fails" and tx.attempt == 1:
            raise ValueError("again")
        return await book(rung, tx)

    world.behave = ring
    monkeypatch.setattr(worker_module, "settle", lambda arrivals: None)
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    tower.broker.drop_confirms()
    tower.broker.alarm(True)
    await until(lambda: world.attempts == [1])
    await asyncio.sleep(0.5)
    await tower.kill("bells")
    assert tower.broker.depth("bells.ring") == 1
    assert not [each for each in tower.log() if each.type == "bell.echoed"]
    monkeypatch.undo()
    tower.broker.drop_confirms(False)
    tower.broker.alarm(False)
    worker = await tower.start(bells.using(world))
    await tower.advance(LONG)
    assert world.attempts == ([1, 2] if first == "fails" else [1])
    assert await booked(worker) == ["a"]
    assert len([each for each in tower.log() if each.type == "bell.echoed"]) == 1
    ends = [each["outcome"] for each in tower.receipts()]
    assert sorted(ends) == sorted(["handled", "duplicate", *(["retry"] if first == "fails" else [])])
    assert tower.broker.depth("bells.ring") == 0


async def test_what_an_attempt_said_that_was_not_committed_was_never_said(tower: Processes) -> None:
    """RULES 2.3: nothing leaves before its commit, so the next attempt may say something else, under the same key."""

    async def fickle(rung: Rung, tx: Tx[World]) -> Echoed:
        return Echoed(name=f"attempt-{tx.attempt}")

    worker = await tower.start(bells.using(World(behave=fickle)))
    refused: list[int] = []

    def refuses(endings: Sequence[Ending]) -> Exception | None:
        if any(_done(each) and each.inbox and each.inbox.row.attempt < 3 for each in endings):
            refused.append(len(endings))
            return OverflowError("no")
        return None

    store_of(worker).refuses = refuses
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert len(refused) == 2
    [said] = [each for each in tower.log() if each.type == "bell.echoed"]
    assert said.data["name"] == "attempt-3"
    cause = ("/post", "bell.rung", "k")
    assert said.idempotency_key == derived_key(cause, "bells.ring", "bell.echoed", 0, FLOW)


@pytest.mark.parametrize("error", [sqlite3.IntegrityError("unique"), ValueError("x")])
async def test_an_error_of_the_groups_transaction_is_one_by_one(tower: Processes, error: Exception) -> None:
    """RULES 3.1: whatever is raised, the others end as they would have ended."""
    worker = await tower.start(bells.using(World(behave=echo)))
    store_of(worker).refuses = lambda endings: error if len(endings) > 1 else None
    for number in range(5):
        await tower.hear(RUNG, f"k{number}")
    await tower.quiet()
    assert [each["outcome"] for each in tower.receipts()] == ["handled"] * 5
