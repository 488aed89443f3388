"""Station handle: each attempt has a task and a context of its own, and can neither end nor poison anything else."""

import asyncio
import contextvars
import decimal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import insert

from hocket import Death, Event, Heard, Reject, Service, Tx
from hocket.errors import HocketError
from tests.hocket.sample_services import (
    LONG,
    Behave,
    Processes,
    Rung,
    Shut,
    Tolled,
    World,
    bells,
    book,
    booked,
    steps,
    tolled,
    uses,
)

shade: contextvars.ContextVar[str] = contextvars.ContextVar("shade", default="none")


def _leave_a_mark() -> None:
    shade.set("left")
    structlog.contextvars.bind_contextvars(customer="ada")
    decimal.getcontext().prec = 3


def _marks() -> list[Any]:
    return [shade.get(), structlog.contextvars.get_contextvars().get("customer"), decimal.getcontext().prec]


CLEAN = ["none", None, decimal.DefaultContext.prec]


@pytest.mark.parametrize("road", ["plain", "own transaction", "step", "undo"])
async def test_nothing_that_one_attempt_sets_is_there_in_the_next(tower: Processes, road: str) -> None:
    """RULES 3.6: context variables, bound log fields and the decimal context of a run are its own."""
    decimal.getcontext()  # the kit's tasks inherit a context that exists, and that is mutable
    seen: list[list[Any]] = []

    async def mark(heard: Heard, tx: Tx[World]) -> Any:
        seen.append(_marks())
        _leave_a_mark()
        return await book(heard, tx) if road == "own transaction" else None  # type: ignore[arg-type]

    async def toll_it(rung: Rung, tx: Tx[World]) -> Tolled:
        return Tolled(name=rung.name)

    narrow = Service("narrow", owner="team-tower", uses=uses)

    @narrow.handler(concurrency=1)
    async def one(rung: Rung, tx: Tx[World]) -> None:
        await tx.use.behave(rung, tx)

    if road in {"step", "undo"}:
        world = World(behave=toll_it, undo=mark) if road == "undo" else World(behave=mark)
        await tower.start(steps.using(world))
    elif road == "plain":
        await tower.start(narrow.using(World(behave=mark)))
    else:
        await tower.start(bells.using(World(behave=mark)))
    for number in range(70):  # twice the places at work and more: each kit task runs several
        await tower.hear(Rung(name=f"n{number}"), f"k{number}", correlation_id=f"flow-{number}")
        if road == "undo":
            await tower.hear(Shut(name=f"n{number}"), f"s{number}", correlation_id=f"flow-{number}")
    await tower.advance(timedelta(seconds=5))
    assert len(seen) == 70
    assert seen == [CLEAN] * 70
    assert _marks() == CLEAN


async def test_a_stray_cancel_hits_its_own_attempt_only(tower: Processes) -> None:
    """RULES 3.6: cancelled later, the task of an attempt that is over is nobody's; the subscription goes on."""
    stray = Service("stray", owner="team-tower", uses=uses)
    handled: list[str] = []

    @stray.handler(concurrency=1)
    async def leave(rung: Rung, tx: Tx[World]) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(2, task.cancel)
        await asyncio.sleep(3 if rung.name == "slow" and tx.attempt == 1 else 0.5)
        handled.append(rung.name)

    worker = await tower.start(stray.using(World()))
    for name in ("a", "b", "slow", "c", "d", "e", "f"):
        await tower.hear(Rung(name=name), name)
    await tower.advance(LONG)
    assert worker.live
    assert sorted(handled) == ["a", "b", "c", "d", "e", "f", "slow"]
    failed = [each for each in tower.receipts() if each["outcome"] != "handled"]
    assert [(each["event"]["id"], each["cause"]) for each in failed] == [("slow", "CancelledError")]
    assert failed[0]["error"].startswith("CancelledError: this attempt was cancelled, and not by hocket")


async def test_a_kit_task_that_is_cancelled_is_a_loud_failure(tower: Processes) -> None:
    """RULES 3.6: whoever cancels a task of the kit ends the service, which is neither live nor ready."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    [task, *_] = [each for each in asyncio.all_tasks() if each.get_name() == "bells: handle bells.ring 0"]
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not worker.live
    assert worker.runtime.tasks.died.is_set()
    assert worker.health()[0] == ("bells: handle bells.ring 0 ended unasked: it was cancelled, and not by hocket")


def _exit(code: object) -> Callable[[], None]:
    def end() -> None:
        sys.exit(code)  # type: ignore[arg-type]

    return end


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [_exit(0), _exit("bye"), _interrupt], ids=["exit 0", "exit with a text", "interrupt"])
@pytest.mark.parametrize("road", ["plain", "own transaction", "step", "undo"])
async def test_a_handler_cannot_end_the_process(tower: Processes, road: str, end: Callable[[], None]) -> None:
    """RULES 3.6: `sys.exit` and `KeyboardInterrupt` are that attempt's failure, and its error says what to do."""

    async def leave(heard: Heard, tx: Tx[World]) -> Any:
        if road == "own transaction":
            await (await tx.db()).execute(insert(tolled).values(name="never"))
        if tx.attempt == 1:
            end()

    async def toll_it(rung: Rung, tx: Tx[World]) -> Tolled:
        return Tolled(name=rung.name)

    if road in {"step", "undo"}:
        world = World(behave=toll_it, undo=leave) if road == "undo" else World(behave=leave)
        worker = await tower.start(steps.using(world))
    else:
        worker = await tower.start(bells.using(World(behave=leave)))
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    if road == "undo":
        await tower.hear(Shut(name="a"), "s")
    await tower.advance(LONG)
    assert worker.live
    retries = [each for each in tower.receipts() if each["outcome"] == "retry"]
    assert [each["cause"] for each in retries] in (["SystemExit"], ["KeyboardInterrupt"])
    assert "does not end the process; raise an error of your own" in retries[0]["error"]
    assert tower.receipts()[-1]["outcome"] == "handled"


async def test_on_dead_cannot_end_the_process(tower: Processes) -> None:
    """RULES 3.6, 5.5: what `on_dead` sets or tries to end is its own; the burial stands and the letter says so."""
    last = Service("last", owner="team-tower", uses=uses)

    class Gone(Event, type="bell.gone", subject="bell/{name}"):
        name: str

    @last.handler
    async def take(rung: Rung, tx: Tx[World]) -> None:
        raise Reject("no")

    @last.on_dead(take)
    def gone(rung: Rung, death: Death) -> Gone:
        _leave_a_mark()
        sys.exit(0)

    worker = await tower.start(last.using(World()))
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    assert worker.live
    [letter] = tower.letters()
    assert "its on_dead raised HocketError: SystemExit" in str(letter.headers["hocket-death-error"])
    assert _marks() == CLEAN


async def test_what_a_handler_left_running_has_no_transaction(tower: Processes) -> None:
    """A task that outlives its attempt can neither open the transaction nor hold a connection of the store."""
    told: list[str] = []

    async def leave(rung: Rung, tx: Tx[World]) -> None:
        async def late() -> None:
            await asyncio.sleep(1)
            for use in (tx.db, tx.read):
                try:
                    await use()
                except HocketError as error:
                    told.append(str(error))

        tx.use.attempts = [asyncio.ensure_future(late())]  # type: ignore[list-item]

    await tower.start(bells.using(World(behave=leave)))
    await tower.hear(Rung(name="a"), "k")
    await tower.advance(timedelta(seconds=5))
    assert told == ["this transaction has ended: its Tx and its connection are no longer usable"] * 2


@pytest.mark.parametrize("road", ["plain", "own transaction"])
async def test_a_stop_leaves_behind_what_swallows_its_cancellation(tower: Processes, road: str) -> None:
    """RULES 1.2, 3.6: the stop ends within its bound, names the handler, and its delivery goes back for the next."""
    swallowed = asyncio.Event()
    over = asyncio.Event()

    async def stubborn(rung: Rung, tx: Tx[World]) -> Any:
        if road == "own transaction":
            await (await tx.db()).execute(insert(tolled).values(name="half"))
        while not over.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed.set()

    worker = await tower.start(bells.using(World(behave=stubborn)))
    await tower.hear(Rung(name="a"), "k")
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await tower.stop("bells")
    assert swallowed.is_set()
    assert loop.time() - began < worker.runtime.config.stop_seconds + 10
    assert list(worker.runtime.tasks.left.values()) == ["bells.ring"]
    assert not worker.runtime.tasks.failed
    after = await tower.start(bells.using(World(behave=book)))
    await tower.quiet()
    assert await booked(after) == ["a"]
    over.set()
    for task in list(worker.runtime.tasks.left):
        task.cancel()
        await asyncio.wait([task])
    assert not worker.runtime.tasks.left


async def _inside(heard: Heard, tx: Tx[World]) -> None:
    async with bells.tx():
        pass


async def _in_a_task(heard: Heard, tx: Tx[World]) -> None:
    await asyncio.ensure_future(_inside(heard, tx))


async def _of_another(heard: Heard, tx: Tx[World]) -> None:
    async with steps.tx(connection=await tx.db()):
        pass


@pytest.mark.parametrize("behave", [_inside, _in_a_task, _of_another])
async def test_a_handler_opens_no_transaction_outside_handlers(tower: Processes, behave: Behave) -> None:
    """RULES 3.6: `service.tx()` inside a handler is refused at once, by the sentence that mends it."""
    await tower.start(bells.using(World(behave=behave)))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await tower.hear(Rung(name="a"), "k")
    await asyncio.sleep(0.5)
    first = tower.receipts()[0]
    assert (first["outcome"], first["cause"]) == ("retry", "HocketError")
    assert ".tx() was called inside bells.ring" in first["error"]
    assert "return the event, and write through the handler's own tx" in first["error"]
    assert loop.time() - began < 1


async def test_an_undo_opens_none_either_and_what_outlives_a_handler_may(tower: Processes) -> None:
    """RULES 3.6: it holds for undos; a task that goes on after its attempt is outside of handlers."""
    told: list[str] = []

    async def later(heard: Heard, tx: Tx[World]) -> None:
        async def call() -> None:
            await asyncio.sleep(1)
            try:
                steps.tx()
            except HocketError as error:
                told.append(str(error))

        tx.use.attempts = [asyncio.ensure_future(call())]  # type: ignore[list-item]

    async def toll_it(rung: Rung, tx: Tx[World]) -> Tolled:
        await later(rung, tx)
        return Tolled(name=rung.name)

    await tower.start(steps.using(World(behave=toll_it, undo=_inside)))
    await tower.hear(Rung(name="a"), "k")
    await tower.advance(timedelta(seconds=5))
    [why] = told
    assert why.startswith("service steps does not run here")
    await tower.hear(Shut(name="a"), "s")
    await asyncio.sleep(0.5)
    assert "was called inside steps.hush" in tower.receipts()[-1]["error"]
