"""The relay: order, copies, bounds, and what it takes over."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

import hocket
from hocket import Event, Heard, Scheduled, Service, Tx
from hocket.broker.port import Message
from hocket.broker.topology import of_service
from hocket.config import Config
from hocket.errors import OutboxFull
from hocket.runtime import here
from hocket.store.records import Ending, OutboxRow, RowKind
from hocket.worker import Worker
from tests.hocket.sample_services import LONG, Processes, Rung, World, bells, echo, until, uses

RUNG = Rung(name="a")
clocks = Service("clocks", owner="team-tower", uses=uses)


class Struck(Event, type="clock.struck", subject="clock/{name}"):
    name: str
    n: int


class Wound(Heard, type="clock.wound"):
    name: str


@clocks.handler
async def wind(rung: Rung, tx: Tx[World]) -> Scheduled[Struck]:
    return Scheduled(Struck(name=rung.name, n=0), after=timedelta(seconds=60), key=rung.name)


@clocks.handler
async def stop(wound: Wound, tx: Tx[World]) -> None:
    tx.use.attempts.append(int(await tx.cancel(Struck, wound.name)))


clocks.says(Struck)


async def say(worker: Worker, *numbers: int, name: str = "a") -> None:
    """Say events of one subject, each in a transaction of its own."""
    for number in numbers:
        async with worker.outside(None, None) as tx:
            tx.say(Struck(name=name, n=number))


def struck(tower: Processes, name: str = "a") -> list[int]:
    """Numbers in the log, in its order."""
    found = [each.data for each in tower.log() if each.type == "clock.struck" and each.data["name"] == name]
    return [int(str(each["n"])) for each in found]


async def running(tower: Processes, **settings: int) -> Worker:
    """The clocks at work, with these settings."""
    worker = await tower.start(clocks.using(World()), Config.model_construct(None, **settings))
    await tower.quiet()
    return worker


async def test_the_order_of_a_subject_is_kept_over_nacks_and_cuts(tower: Processes) -> None:
    """RULES 4.2: a later event waits while an earlier one of its subject is unconfirmed."""
    worker = await running(tower)
    tower.broker.nack_next(3)
    await say(worker, *range(10))
    await tower.quiet()
    tower.broker.drop_confirms()
    await say(worker, *range(10, 20))
    tower.broker.cut("clocks")
    tower.broker.drop_confirms(False)
    await tower.quiet()
    assert list(dict.fromkeys(struck(tower))) == list(range(20))
    assert len(struck(tower)) <= 21


async def test_a_waiting_subject_holds_no_other(tower: Processes) -> None:
    """RULES 4.2: another subject goes on while one waits."""
    worker = await running(tower)
    tower.broker.nack_next(1)
    await say(worker, 0, 1)
    await say(worker, 7, name="b")
    await until(lambda: struck(tower, "b") == [7])
    assert struck(tower) == []
    await tower.quiet()
    assert struck(tower) == [0, 1]


@pytest.mark.parametrize("kind", [RowKind.SELF, RowKind.SCHEDULED])
async def test_what_is_addressed_to_oneself_or_scheduled_holds_nobody(tower: Processes, kind: RowKind) -> None:
    """RULES 4.2: while it waits for its confirm a later event of its subject goes; it waits for none either."""
    worker = await running(tower)
    tower.broker.nack_next(1)
    message = Message("clocks", "clocks.stop", b"{}", "application/json")
    row = OutboxRow(kind, message, 0.0, subject="clock/a", schedule="clock.struck x")
    [written] = await worker.runtime.store.commit([Ending(outbox=(row,))])
    worker.backlog.add(written.outbox)
    await say(worker, 1, 2)
    await until(lambda: struck(tower) == [1, 2], 0.4)
    assert tower.nacks.count == 1  # the row itself goes again half a second later
    tower.broker.nack_next(1)
    await say(worker, 3)
    await until(lambda: tower.nacks.count == 2, 0.1)
    [written] = await worker.runtime.store.commit([Ending(outbox=(row,))])
    worker.backlog.add(written.outbox)
    await until(lambda: bool(tower.letters()), 0.2)  # what it brings is no order to undo; it overtook the third
    assert struck(tower) == [1, 2]
    await tower.quiet()
    assert struck(tower) == [1, 2, 3]


async def test_a_refused_row_is_set_aside_and_its_neighbours_go_on(tower: Processes) -> None:
    """RULES 4.3: refused by its nature: counted, never sent again, holds nobody."""
    worker = await running(tower)
    lost = Message("hocket.nowhere", "x", b"{}", "application/json")
    rows = [OutboxRow(RowKind.EVENT, lost, tower.clock.now().timestamp(), subject="clock/a")]
    [written] = await worker.runtime.store.commit([Ending(outbox=tuple(rows))])
    worker.backlog.add(written.outbox)
    await say(worker, 1, 2)
    await tower.quiet()
    assert struck(tower) == [1, 2]
    assert (await worker.runtime.store.waiting()).refused == 1


async def test_an_unrouted_row_stays_and_goes_again(tower: Processes) -> None:
    """RULES 1.5: every publish is mandatory; what no queue took is kept until one does."""
    worker = await running(tower)
    row = OutboxRow(RowKind.SELF, Message("clocks", "clocks.late", b"{}", "application/json"), 0.0)
    [written] = await worker.runtime.store.commit([Ending(outbox=(row,))])
    worker.backlog.add(written.outbox)
    await asyncio.sleep(120)
    assert not worker.relay.idle
    lane = of_service("clocks", [("clocks.late", []), ("clocks.wind", []), ("clocks.stop", [])])
    tower.broker.declare(lane)
    await tower.quiet()
    assert tower.broker.depth("clocks.late") == 1


async def test_an_alarm_makes_no_copy(tower: Processes) -> None:
    """RULES 4.4: there is no confirm timeout; readiness says since when nothing was confirmed."""
    worker = await running(tower)
    tower.broker.alarm(True)
    await say(worker, *range(200))
    await asyncio.sleep(3600)
    assert any("not confirmed anything for 3" in reason for reason in worker.health())
    tower.broker.alarm(False)
    await tower.quiet()
    assert struck(tower) == list(range(200))
    assert worker.health() == []


async def test_after_a_lost_connection_one_row_goes_first(tower: Processes) -> None:
    """RULES 4.4: an outage costs at most one copy a time that its probe was confirmed, however many rows waited."""
    worker = await running(tower)
    tower.broker.drop_confirms()
    for number in range(300):
        await say(worker, number, name=f"n{number}")
    await asyncio.sleep(1)
    taken = tower.broker.depth("hocket.log")
    for _ in range(5):
        tower.broker.cut("clocks")
        await asyncio.sleep(1)
    probes = tower.broker.depth("hocket.log") - taken
    assert probes == 5
    tower.broker.drop_confirms(False)
    tower.broker.cut("clocks")
    await tower.quiet()
    assert {each.data["name"] for each in tower.log()} == {f"n{number}" for number in range(300)}
    copies = tower.broker.messages("hocket.log")
    assert len({each.id for each in tower.log()}) == 300  # a copy is the same event in another message
    assert len({each.message_id for each in copies}) == len(copies) > 300


async def test_scheduled_events_have_their_time_and_can_be_cancelled(tower: Processes) -> None:
    """RULES 4.5: id and key given when said, `time` = due time; cancel tells whether it won."""
    world = World()
    await tower.start(clocks.using(world))
    for name in ("a", "b"):
        await tower.hear(Rung(name=name), name)
    await tower.quiet()
    began = tower.clock.now()
    await tower.hear(Wound(name="b"), "w1")
    await tower.advance(timedelta(seconds=50))
    assert struck(tower) == []
    await tower.advance(timedelta(seconds=20))
    await tower.hear(Wound(name="a"), "w2")
    await tower.quiet()
    assert world.attempts == [1, 0]
    assert (struck(tower), struck(tower, "b")) == ([0], [])
    [envelope] = [each for each in tower.log() if each.type == "clock.struck"]
    assert abs((envelope.time - began).total_seconds() - 60) < 1


async def test_a_restart_keeps_timers(tower: Processes) -> None:
    """RULES 4.1, 4.5: what is not due has no owner; the next boot claims it when it is."""
    await tower.start(clocks.using(World()))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    await tower.kill("clocks")
    await asyncio.sleep(300)
    await running(tower)
    await tower.quiet()
    assert struck(tower) == [0]


async def test_rows_of_an_earlier_boot_are_taken_over(tower: Processes) -> None:
    """RULES 4.1: what a killed process left is published by the next, in its order, before what is newer."""
    worker = await running(tower, outbox_memory_rows=100)
    tower.broker.cut("clocks", heal=False)
    await say(worker, *range(300))
    await tower.kill("clocks")
    worker = await tower.start(clocks.using(World()), Config.model_construct(outbox_memory_rows=100))
    await say(worker, *range(300, 350))
    await tower.quiet()
    assert struck(tower) == list(range(350))


async def test_the_bound_of_due_events(tower: Processes) -> None:
    """RULES 4.6: at the bound intake pauses and `tx()` raises `OutboxFull`; timers do not count; then it goes on."""
    world = World(behave=echo)
    clock = await running(tower, outbox_max_events=50, outbox_memory_rows=20)
    for number in range(60):
        await tower.hear(Rung(name=f"t{number}"), f"t{number}")
    await tower.quiet()
    assert not clock.full()
    worker = await tower.start(bells.using(world), Config.model_construct(outbox_max_events=50, outbox_memory_rows=20))
    await tower.quiet()
    tower.broker.alarm(True)
    for each in (worker, clock):
        each.backlog.set_stored(await each.runtime.store.waiting())
    with pytest.raises(OutboxFull):
        await say(clock, *range(60))
    assert clock.full()
    assert any("as many events wait" in reason for reason in clock.health())
    tower.broker.alarm(False)
    await until(lambda: not clock.full())
    await say(clock, 60)
    await tower.quiet()
    assert len(struck(tower)) == 51
    assert world.attempts == []


async def test_who_only_reads_is_not_refused(tower: Processes) -> None:
    """RULES 4.6: at the bound a transaction without a key may read; saying something, or a new key, is refused."""
    worker = await running(tower, outbox_max_events=5)
    tower.broker.alarm(True)
    with pytest.raises(OutboxFull):
        await say(worker, *range(20))
    assert worker.full()
    async with worker.outside(None, None) as tx:
        assert await tx.read() is not None
    with pytest.raises(OutboxFull):
        async with worker.outside(None, None) as tx:
            tx.say(Struck(name="a", n=1))
    with pytest.raises(OutboxFull):
        async with worker.outside("new", None):
            raise AssertionError("a new key is refused before any work")
    tower.broker.alarm(False)


async def test_intake_pauses_at_the_bound_and_goes_on(tower: Processes) -> None:
    """RULES 4.6: at the bound no handler begins and nothing leaves the queue; below it all of it is handled, once."""
    world = World()
    worker = await tower.start(clocks.using(world), Config.model_construct(outbox_max_events=50))
    await tower.quiet()
    tower.broker.nack_next(50)
    for number in range(50):
        await say(worker, number, name=f"n{number}")
    await until(lambda: tower.nacks.count == 50, 0.2)
    for number in range(20):
        await tower.hear(Wound(name="x"), f"k{number}")
    await asyncio.sleep(0.3)
    assert worker.full()
    assert world.attempts == []
    assert tower.broker.depth("clocks.stop") == 20
    assert "as many events wait for the broker as the bound allows" in worker.health()
    await tower.quiet()
    assert len(world.attempts) == 20
    assert tower.broker.depth("clocks.stop") == 0
    assert worker.health() == []


async def test_the_bound_holds_before_the_broker_was_ever_reached(tower: Processes) -> None:
    """RULES 4.6: what an earlier process left counts too, and HTTP answers 503 although no link ever stood."""
    bounds = {"outbox_max_events": 50, "outbox_memory_rows": 20}
    worker = await running(tower, **bounds)
    tower.broker.cut("clocks", heal=False)
    with pytest.raises(OutboxFull):
        await say(worker, *range(100))
    await tower.kill("clocks")
    worker = await tower.start(clocks.using(World()), Config.model_construct(None, **bounds))
    tower.broker.cut("clocks", heal=False)
    await until(worker.full, 5)
    tower.broker.reconnect("clocks")
    await tower.quiet()
    assert struck(tower) == list(range(50))


def test_nobody_else_publishes() -> None:
    """RULES 4.7: services say through the outbox only; replays, `hocket say`, markers and refills publish directly."""
    kit = Path(hocket.__file__).parent
    found = {
        path.relative_to(kit).as_posix(): len(re.findall(r"\.publish\(", path.read_text()))
        for path in kit.rglob("*.py")
        if not path.relative_to(kit).as_posix().startswith(("broker/", "testing/"))
    }
    publishers = ["cli/commands/say.py", "outbox/relay.py", "streams/log_check.py", "streams/replay.py"]
    publishers += ["streams/backfill/marker.py", "streams/refill/from_log.py"]
    assert {path: count for path, count in found.items() if count} == dict.fromkeys(publishers, 1)
    services = list((kit.parents[1] / "services").rglob("*.py"))
    assert services
    assert not [path for path in services if ".publish(" in path.read_text()]


async def test_a_stop_waits_for_what_is_due(tower: Processes) -> None:
    """RULES 1.2: publish what is due, then close; no longer than it needs."""
    worker = await running(tower)
    await say(worker, *range(100))
    worker.reporter.heartbeat()
    began = tower.clock.monotonic()
    await tower.stop("clocks")
    assert struck(tower) == list(range(100))
    assert tower.clock.monotonic() - began < 2


async def test_here_is_how_tx_finds_it(tower: Processes) -> None:
    """`service.tx()` belongs to what runs in this context."""
    worker = await running(tower)
    with here({"clocks": worker}):
        async with clocks.tx() as tx:
            tx.say(Struck(name="a", n=5))
    await tower.advance(LONG)
    assert struck(tower) == [5]
