"""RULES 10 and 2.4 through whole services: old and new versions side by side, and a subscription that is renamed."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from hocket import Event, Heard, Scheduled, Service, Tx
from hocket.broker.topology import Binding, of_service
from hocket.delivery.former_queue import FORMER_SECONDS
from hocket.outbox.backlog import Backlog
from tests.hocket.sample_services import BRIEF, LONG, Ill, Processes, Rung, Shut, World, message_of, until, uses


class StruckV1(Heard, type="bell.struck"):
    name: str


class Struck(Heard, type="bell.struck", version=2):
    name: str
    hour: int


class HeardV1(Event, type="hour.heard", subject="bell/{name}"):
    name: str


class HourHeard(Event, type="hour.heard", version=2, subject="bell/{name}"):
    name: str
    hour: int


class OldHour(Heard, type="hour.heard"):
    name: str


class NewHour(Heard, type="hour.heard", version=2):
    name: str
    hour: int


clocks = Service("clocks", owner="team-tower", uses=uses)


@clocks.handler
async def listen(struck: Struck, tx: Tx[World]) -> HourHeard | Scheduled[HourHeard] | None:
    tx.use.keys.append(f"{struck.name} {struck.hour}")
    said: HourHeard | None = await tx.use.behave(struck, tx)
    return said


@clocks.upcast
def struck_1_to_2(old: StruckV1) -> Struck:
    if old.name == "mute":
        raise ValueError("a mute bell")
    return Struck(name=old.name, hour=12)


@clocks.also_says
def as_v1(new: HourHeard) -> HeardV1:
    return HeardV1(name=new.name)


hearers = Service("hearers", owner="team-town", uses=uses)


@hearers.handler
async def both(hour: NewHour | OldHour, tx: Tx[World]) -> None:
    tx.use.keys.append(f"both {type(hour).__name__} {tx.idempotency_key}")


@hearers.handler
async def only_old(hour: OldHour, tx: Tx[World]) -> None:
    tx.use.keys.append(f"old {hour.name}")


async def hour_of(struck: Struck, tx: Tx[World]) -> HourHeard:
    return HourHeard(name=struck.name, hour=struck.hour)


async def test_an_old_version_is_heard_as_the_new_one(tower: Processes) -> None:
    """RULES 10.1: a subscription binds the versions its upcasters read; two renderings of one fact are handled once."""
    world = World()
    await tower.start(clocks.using(world))
    await tower.hear(StruckV1(name="a"), "k1")
    await tower.hear(Struck(name="b", hour=3), "k2")
    await tower.hear(StruckV1(name="b"), "k2", id="the-old-rendering")
    await tower.quiet()
    assert world.keys == ["a 12", "b 3"]
    assert [each["outcome"] for each in tower.receipts()].count("duplicate") == 1


async def test_a_version_nobody_reads_is_buried_until_somebody_does(tower: Processes) -> None:
    """RULES 10.2: buried with cause `version`, without retries; once an upcaster is there, a replay is handled."""
    world = World()
    plain = Service("clocks", owner="team-tower", uses=uses)
    plain.handler(listen)
    worker = await tower.start(plain.using(world))
    await tower.hear(StruckV1(name="a"), "k")
    await tower.quiet()
    assert not tower.letters()  # nobody is bound to it
    message = tower.broker.messages("hocket.log")[-1]
    await worker.send("clocks.listen", message.body, message.content_type, replay="r0", attempt=1)
    await tower.quiet()
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "version"
    await tower.stop("clocks")
    worker = await tower.start(clocks.using(world))
    await worker.send("clocks.listen", letter.body, letter.content_type, replay="r1", attempt=2)
    await tower.quiet()
    assert world.keys == ["a 12"]


async def test_an_upcast_that_raises_buries_its_delivery_alone(tower: Processes) -> None:
    """RULES 10.1: what an upcast cannot read is `invalid`; its neighbours are handled."""
    world = World()
    await tower.start(clocks.using(world))
    await tower.hear(StruckV1(name="mute"), "k1")
    await tower.hear(StruckV1(name="a"), "k2")
    await tower.quiet()
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "invalid"
    assert world.keys == ["a 12"]


async def test_the_old_version_is_said_beside_the_new_one(tower: Processes) -> None:
    """RULES 2.3, 10.1: same idempotency key, own id, version and routing key; who hears both handles one."""
    town = World()
    await tower.start(clocks.using(World(behave=hour_of)))
    await tower.start(hearers.using(town))
    await tower.hear(Struck(name="a", hour=3), "k")
    await tower.quiet()
    new, old = [each for each in tower.log() if each.type == "hour.heard"]
    assert (new.version, old.version) == (2, 1)
    assert new.idempotency_key == old.idempotency_key
    assert new.id != old.id
    assert dict(old.data) == {"name": "a"}
    assert sorted(each.split()[0] for each in town.keys) == ["both", "old"]
    [told] = [each for each in tower.receipts() if each["service"] == "clocks"]
    assert told["said"] == [new.id, old.id]


async def test_what_is_said_outside_handlers_is_said_in_both_versions(tower: Processes) -> None:
    """RULES 10.1: also without a key of one's own both renderings carry the same one."""
    worker = await tower.start(clocks.using(World()))
    async with worker.outside(None, None) as tx:
        tx.say(HourHeard(name="a", hour=1))
    await tower.quiet()
    new, old = [each for each in tower.log() if each.type == "hour.heard"]
    assert new.idempotency_key == old.idempotency_key == new.id


async def test_both_renderings_of_something_scheduled_are_cancelled_together(tower: Processes) -> None:
    """RULES 4.5, 10.1: they are due together and have one name."""
    worker = await tower.start(clocks.using(World()))
    for key in ("stays", "goes"):
        async with worker.outside(None, None) as tx:
            tx.say(Scheduled(HourHeard(name=key, hour=1), after=timedelta(minutes=1), key=key))
    async with worker.outside(None, None) as tx:
        assert await tx.cancel(HourHeard, "goes")
    await tower.advance(LONG)
    assert [(each.data["name"], each.version) for each in tower.log()] == [("stays", 2), ("stays", 1)]


def renamed(formerly: str | tuple[str, ...] = "", name: str = "bill") -> Service[World]:
    """A service whose one step is called `bill`, or has been renamed."""
    made = Service("billing", owner="team-money", uses=uses)

    async def work(rung: Rung, tx: Tx[World]) -> HourHeard:
        tx.use.attempts.append(tx.attempt)
        tx.use.keys.append(tx.idempotency_key)
        await tx.use.behave(rung, tx)
        return HourHeard(name=rung.name, hour=1)

    declare = made.handler(name=name, retry=BRIEF, formerly=formerly) if formerly else None
    step = (declare or made.handler(name=name, retry=BRIEF))(work)

    @made.undo(step, HourHeard, by="name")
    async def unbill(rung: Rung, did: HourHeard | None, why: Shut, tx: Tx[World]) -> None:
        tx.use.undone.append((rung.name, did is not None, "", ""))

    return made


async def test_a_renamed_subscription_keeps_its_keys(tower: Processes) -> None:
    """RULES 2.4: what was handled under the old name is seen, also after two renamings; its step is undone."""
    world = World()
    await tower.start(renamed().using(world))
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    await tower.stop("billing")
    await tower.start(renamed("bill", "charge").using(world))
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    await tower.stop("billing")
    await tower.start(renamed(("bill", "charge"), "collect").using(world))
    await tower.hear(Rung(name="a"), "k")
    await tower.hear(Shut(name="a"), "shut")
    await tower.quiet()
    assert world.attempts == [1]
    assert world.undone == [("a", True, "", "")]


async def test_what_waits_under_the_old_name_is_handled_under_the_new_one(tower: Processes) -> None:
    """RULES 2.4: the old queue and the retries addressed to it are worked off, once, under the same outside key."""
    calls: list[Callable[[], None]] = []

    async def ill(rung: Rung, tx: Tx[World]) -> None:
        if not calls:
            raise Ill

    world = World(behave=ill)
    await tower.start(renamed().using(world))
    await tower.hear(Rung(name="a"), "k1")
    await tower.quiet()
    await tower.kill("billing")
    await tower.hear(Rung(name="b"), "k2")
    calls.append(lambda: None)
    worker = await tower.start(renamed("bill", "charge").using(world))
    await tower.advance(LONG)
    assert len(set(world.keys)) == 2
    first, second = sorted(world.attempts[-2:])
    assert first == 1 < second  # of the one that came meanwhile, and of the one that had failed before
    assert len([each for each in tower.log() if each.type == "hour.heard"]) == 2
    assert tower.broker.depth("billing.bill") == 0
    assert worker.idle()


async def test_the_old_queue_is_reported_when_it_is_empty(tower: Processes) -> None:
    """RULES 2.4, 10.2: it is consumed until nothing comes from it, then left alone and named for removal."""
    told: list[tuple[str, object]] = []
    world = World()
    await tower.start(renamed().using(world))
    await tower.quiet()
    await tower.stop("billing")
    worker = await tower.start(renamed("bill", "charge").using(world))
    worker.runtime.signals.trouble = lambda service, what, **facts: told.append((what, facts["queue"]))  # type: ignore[method-assign]
    await tower.advance(timedelta(seconds=2 * FORMER_SECONDS))
    lane = worker.runners["billing.charge"]
    assert told == [("the queue of a former name is empty: remove it from the broker", "billing.bill")]
    assert not lane.former.consumers
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    assert world.attempts == [1]


async def test_the_old_queue_is_reported_after_a_lost_link_too(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 1.1, 2.4: what was buffered when the link was lost comes again; the queue is reported once it is empty."""
    told: list[tuple[str, object]] = []
    shut = asyncio.Event()
    shut.set()
    world = World()
    await tower.start(renamed().using(world))
    await tower.quiet()
    await tower.stop("billing")
    for number in range(5):
        await tower.hear(Rung(name=f"b{number}"), f"k{number}")
    worker = await tower.start(renamed("bill", "charge").using(world))
    worker.runtime.signals.trouble = lambda service, what, **facts: told.append((what, facts.get("queue")))  # type: ignore[method-assign]
    monkeypatch.setattr(Backlog, "full", property(lambda _: shut.is_set()))
    lane = worker.runners["billing.charge"]
    await until(lambda: len(lane.intake) == 5)
    tower.broker.cut("billing")
    await until(lambda: len(lane.intake) == 10)
    shut.clear()
    await tower.advance(timedelta(seconds=2 * FORMER_SECONDS))
    assert len(world.attempts) == 5
    assert tower.broker.depth("billing.bill") == 0
    assert told == [("the queue of a former name is empty: remove it from the broker", "billing.bill")]
    assert not lane.former.consumers


async def test_the_old_queue_is_emptied_again_where_the_link_is_lost_at_the_end(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 1.1, 2.4: what came while its consumer ended went back with the link: it is not called empty."""
    told: list[object] = []
    world = World()
    await tower.start(renamed().using(world))
    await tower.quiet()
    await tower.stop("billing")
    worker = await tower.start(renamed("bill", "charge").using(world))
    worker.runtime.signals.trouble = lambda service, what, **facts: told.append(facts.get("queue"))  # type: ignore[method-assign]
    lane = worker.runners["billing.charge"]
    await until(lambda: bool(lane.former.consumers))
    consumer = lane.former.consumers["billing.bill"]
    cancel, shut = consumer.cancel, asyncio.Event()

    async def late() -> None:
        shut.set()
        await tower.post.publish(
            [message_of(Rung(name="a"), "k", tower.clock)._replace(exchange="billing", routing_key="billing.bill")]
        )
        await cancel()
        tower.broker.cut("billing")
        shut.clear()

    consumer.cancel = late  # type: ignore[method-assign]
    monkeypatch.setattr(Backlog, "full", property(lambda _: shut.is_set()))
    tower.broker.unbind(Binding("billing", "billing.charge", "billing.bill"))
    await tower.advance(timedelta(seconds=1.5 * FORMER_SECONDS))
    assert told == []
    await tower.advance(timedelta(seconds=2 * FORMER_SECONDS))
    assert told == ["billing.bill"]
    assert world.attempts == [1]


async def test_a_former_queue_that_is_gone_keeps_nobody(tower: Processes) -> None:
    """RULES 2.4: on a broker that never had the old queue none is made."""
    world = World()
    await tower.start(renamed("bill", "charge").using(world))
    await tower.hear(Rung(name="a"), "k")
    await tower.advance(LONG)
    assert world.attempts == [1]
    assert "billing.bill" not in tower.broker.names()


def test_what_is_addressed_to_the_old_name_arrives() -> None:
    """RULES 2.4: the new queue is bound to the old name on the service's own exchange."""
    made = of_service("billing", [("billing.charge", ["bell.rung.v1"])], [("billing.charge", "billing.bill")])
    assert ("billing", "billing.charge", "billing.bill") in [(b.source, b.destination, b.key) for b in made.bindings]
