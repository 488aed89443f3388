"""A new subscription hears history from the log, once, and goes over to its queue (RULES 7.5)."""

import asyncio
from datetime import timedelta

import pytest

from hocket import Breaker, Reject, Service, Tx
from hocket.broker.topology import LOG
from hocket.delivery.runner import SubscriptionRunner
from hocket.streams.backfill.state import MOST_LETTERS, Phase
from hocket.worker import Worker
from tests.hocket.annals import QUEUE, Book, annals, row_of, say, written
from tests.hocket.sample_services import Processes, Rung, Shut, World, bells, until


async def test_history_is_heard_once_and_then_the_queue(tower: Processes) -> None:
    """RULES 7.5: what was said before, meanwhile and afterwards is written once each, in its order."""
    book = Book()
    await say(tower, "a", "b", "c")
    worker = await tower.start(annals(book))
    await tower.broker.changed()
    await say(tower, "d", "e")
    await tower.quiet()
    assert (await row_of(worker)).phase is Phase.LIVE
    await say(tower, "f")
    await tower.quiet()
    assert await written(worker) == ["a", "b", "c", "d", "e", "f"]
    assert book.heard[:3] == [("a", True), ("b", True), ("c", True)]
    assert book.heard[-1] == ("f", False)


async def test_the_queue_waits_until_the_marker_is_folded(tower: Processes) -> None:
    """RULES 7.5 b: history is read at once, the marker comes 60 s after the binding, and then the queue is consumed."""
    book = Book()
    await say(tower, "a")
    worker = await tower.start(annals(book))
    await until(lambda: book.names == ["a"])
    await asyncio.sleep(50)
    await say(tower, "b")
    await until(lambda: book.names == ["a", "b"])
    assert tower.broker.depth(QUEUE) == 1, "what was bound waits in the queue"
    assert any("reads history" in reason for reason in worker.health())
    await tower.quiet()
    assert tower.broker.depth(QUEUE) == 0
    assert not worker.health()
    assert await written(worker) == ["a", "b"]


async def test_an_empty_log_is_no_history(tower: Processes) -> None:
    """RULES 7.5: a subscriber on a new broker lives after its marker."""
    book = Book()
    worker = await tower.start(annals(book))
    await tower.quiet()
    await say(tower, "a")
    await tower.quiet()
    assert book.heard == [("a", False)]
    assert (await row_of(worker)).phase is Phase.LIVE


async def test_it_begins_at_a_moment(tower: Processes) -> None:
    """RULES 7.5: `since` a moment leaves out what reached the log before it."""
    book = Book()
    await say(tower, "a")
    await asyncio.sleep(60)
    then = tower.clock.now()
    await say(tower, "b")
    worker = await tower.start(annals(book, since=then))
    await tower.quiet()
    assert await written(worker) == ["b"]


async def test_after_the_last_event_nothing_is_history(tower: Processes) -> None:
    """RULES 7.5: `since` a moment after all that the log holds hears what comes."""
    book = Book()
    await say(tower, "a")
    await asyncio.sleep(60)
    worker = await tower.start(annals(book, since=tower.clock.now()))
    await until(lambda: "annals.write" in tower.broker.names())
    await say(tower, "b")
    await tower.quiet()
    assert await written(worker) in (["b"], ["a", "b"])


async def test_a_log_that_does_not_reach_back_is_refused(tower: Processes) -> None:
    """RULES 7.5 g: the service says from when on the log holds anything, and hears nothing until a person decides."""
    book, then = Book(), tower.clock.now()
    await asyncio.sleep(60)
    await say(tower, "a", "b", "c")
    tower.broker.truncate(LOG, 1)
    worker = await tower.start(annals(book, since=then))
    await tower.quiet()
    assert (await row_of(worker)).phase is Phase.FAILED
    [reason] = worker.health()
    assert "the log holds nothing that was said before" in reason
    await say(tower, "d")
    await tower.quiet()
    assert book.names == []
    assert tower.broker.depth(QUEUE) == 1, "what is new is kept"


async def test_a_subscription_that_lives_ignores_since(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 7.5 a: and says so; it has heard what there was since its binding."""
    book, told = Book(), list[str]()
    old = Service("annals", owner="team-annals")

    @old.handler
    async def write(rung: Rung, tx: Tx) -> None:
        """The release before."""

    await tower.start(old)
    await tower.quiet()
    await tower.stop("annals")
    await say(tower, "a")
    monkeypatch.setattr(tower.signals, "trouble", lambda service, what, **facts: told.append(what))
    worker = await tower.start(annals(book))
    await tower.quiet()
    assert book.heard == [("a", False)]
    assert any("since= is ignored" in each for each in told)
    assert await worker.backfills.rows.of(QUEUE) is None


async def test_a_failed_attempt_of_history_is_repeated_before_the_cut_over(tower: Processes) -> None:
    """RULES 7.5 c: retries take a queue of their own, since that of the subscription is not consumed yet."""

    async def ill(rung: Rung, tx: Tx) -> None:
        if rung.name == "a" and tx.attempt < 3:
            raise ValueError("ill")

    book = Book(ill)
    await say(tower, "a", "b")
    worker = await tower.start(annals(book))
    await until(lambda: len(book.heard) == 2, patience=30)
    assert sorted(book.heard) == [("a", True), ("b", True)]
    assert (await row_of(worker)).phase is Phase.READING
    await tower.quiet()
    assert sorted(await written(worker)) == ["a", "b"]


async def test_many_letters_pause_it_and_a_person_lets_it_go_on(tower: Processes) -> None:
    """RULES 7.5 h: history that a handler cannot take is not poured into the desk."""
    broken = [True]

    async def refuse(rung: Rung, tx: Tx) -> None:
        if broken[0]:
            raise Reject("no such bell")

    book = Book(refuse)
    await say(tower, *(f"n{number}" for number in range(3 * MOST_LETTERS)))
    worker = await tower.start(annals(book))
    await tower.quiet()
    row = await row_of(worker)
    assert row.phase is Phase.PAUSED
    assert MOST_LETTERS <= len(tower.letters()) < 3 * MOST_LETTERS
    assert any("dead letters" in reason for reason in worker.health())
    broken[0] = False
    await worker.commands["backfill"]({"do": "go-on", "subscription": QUEUE})
    await until(lambda: worker.backfills.fillers[QUEUE].live)
    await tower.quiet()
    assert (await row_of(worker)).phase is Phase.LIVE
    assert len(await written(worker)) + len(tower.letters()) == 3 * MOST_LETTERS


async def test_what_the_inbox_has_forgotten_is_admitted(tower: Processes) -> None:
    """RULES 7.5 h, 2.7: history is older than the inbox remembers."""
    book = Book()
    await say(tower, "a")
    await asyncio.sleep(timedelta(days=60).total_seconds())
    worker = await tower.start(annals(book))
    await tower.quiet()
    assert await written(worker) == ["a"]
    assert tower.letters() == []


async def test_history_does_not_call_outside(tower: Processes) -> None:
    """RULES 7.5 h: `tx.outside` raises for history, and not for what is new."""
    breaker = Breaker("bank", failures=(OSError,))

    async def call(rung: Rung, tx: Tx) -> None:
        async with tx.outside(breaker):
            pass

    book = Book(call)
    await say(tower, "a")
    worker = await tower.start(annals(book))
    await tower.quiet()
    await say(tower, "b")
    await tower.quiet()
    assert book.heard == [("b", False)]
    [letter] = tower.letters()
    assert "an event of history" in str(letter.headers)
    assert not worker.health()


async def test_side_effects_let_history_call_outside(tower: Processes) -> None:
    """RULES 7.5 h: where the team says that this is right."""
    breaker = Breaker("bank", failures=(OSError,))

    async def call(rung: Rung, tx: Tx) -> None:
        async with tx.outside(breaker):
            pass

    book = Book(call)
    await say(tower, "a")
    await tower.start(annals(book, side_effects=True))
    await tower.quiet()
    assert book.heard == [("a", True)]


async def test_a_time_out_of_history_is_due_at_the_cut_over_at_the_earliest(tower: Processes) -> None:
    """RULES 7.5 h: what answers it stands further on in the log, however short its time is."""
    made: Service = Service("annals", owner="team-annals")
    fired: list[str] = []

    @made.overdue(timedelta(seconds=5), unless=Shut, by="name", across=True, since="first")
    async def write(rung: Rung, tx: Tx) -> None:
        fired.append(rung.name)

    await say(tower, "a", "b")
    worker = await tower.start(made)
    await until(lambda: bool(worker.backfills.fillers))
    await until(lambda: worker.backfills.fillers[QUEUE].progress.figures.next == 2)
    await asyncio.sleep(30)
    assert fired == [], "its time is over, and the reading is not"
    await tower.hear(Shut(name="a"), "answer")
    await tower.quiet()
    assert fired == ["b"]


async def test_a_backfill_begins_at_run_time(tower: Processes) -> None:
    """RULES 7.5: for a subscription that was not there at the start; who asked is told when it lives."""
    book, lives = Book(), list[int]()
    await say(tower, "a", "b")
    host = await tower.start(bells.using(World()))
    await tower.quiet()
    runner = runner_of(host, annals(book))

    async def live() -> None:
        lives.append(1)

    await host.backfills.begin(runner, live)
    await until(lambda: lives == [1])
    await tower.quiet()
    await say(tower, "c")
    await until(lambda: len(book.heard) == 3)
    assert book.heard == [("a", True), ("b", True), ("c", False)]


async def test_a_backfill_is_given_up(tower: Processes) -> None:
    """RULES 7.5: nothing more is read, and nobody waits for it."""
    book = Book()
    await say(tower, "a")
    host = await tower.start(bells.using(World()))
    await tower.quiet()
    runner = runner_of(host, annals(book))
    await host.backfills.begin(runner)
    await until(lambda: len(book.heard) == 1)
    await host.backfills.abandon(runner.subscription)
    await until(lambda: host.backfills.idle)
    await say(tower, "b")
    await asyncio.sleep(120)
    assert book.names == ["a"]
    assert not host.health()


def runner_of(host: Worker, other: Service) -> SubscriptionRunner:
    """A runner in `host` of the handler that another service declares."""
    [subscription] = other.declarations.subscriptions.values()
    subscription.service = host.service.name
    subscription.queue = subscription.identity = f"{host.service.name}.{subscription.name}"
    runner = SubscriptionRunner(subscription, host.runners["bells.ring"].pipeline, 1024 * 1024)
    host.runners[subscription.queue] = runner
    return runner
