"""RULES 6.1 through a whole service, with an outside that works when the test says so."""

import asyncio
import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

from hocket import Breaker, Service, Tx
from hocket.delivery.gates.patience import IN_HAND_SECONDS
from hocket.resilience.breakers.view import OPEN_WAIT_SECONDS
from hocket.resilience.guard import PROBES_PER_DELIVERY
from tests.hocket.sample_services import BRIEF, LONG, Ill, Processes, Rung, Shut, Tolled, World, rope, ropes, until


class Ropes:
    """An outside that is ill, or ill for one name only."""

    def __init__(self, tower: Processes) -> None:
        self.tower = tower
        self.ill = True
        self.poisonous = ""
        self.calls: list[tuple[float, str]] = []

    async def pull(self, rung: Rung, tx: Tx[World]) -> None:
        """One call."""
        self.calls.append((self.tower.clock.monotonic(), rung.name))
        if self.ill or rung.name == self.poisonous:
            raise Ill


def words(tower: Processes, name: str = "") -> list[Any]:
    """How attempts ended."""
    return [each["outcome"] for each in tower.receipts() if not name or each["event"]["id"] == name]


async def test_it_opens_pauses_defers_probes_and_closes(tower: Processes) -> None:
    """RULES 1.3, 6.1: N failures pause intake; those that open it are deferred too, at no attempt; one probe a time."""
    outside = Ropes(tower)
    await tower.start(ropes.using(World(behave=outside.pull)))
    for number in range(40):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await asyncio.sleep(35)
    assert words(tower).count("retry") == 0
    begun = sum(at - outside.calls[0][0] < 1 for at, _ in outside.calls)  # before anybody could know
    probes = [at for at, _ in outside.calls[begun:]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert 2 <= len(probes) <= 4
    assert min(gaps) >= rope.open_for.total_seconds()
    assert len({name for _, name in outside.calls[begun:]}) == len(probes)
    outside.ill = False
    await tower.advance(LONG)
    assert words(tower).count("handled") == 40
    assert not tower.letters()
    attempts = [each["attempt"] for each in tower.receipts() if each["outcome"] == "handled"]
    assert max(attempts) == 1


async def test_one_poisonous_payload_does_not_hold_it_open(tower: Processes) -> None:
    """RULES 6.1: each probe takes another delivery, so the next one closes the breaker."""
    outside = Ropes(tower)
    await tower.start(ropes.using(World(behave=outside.pull)))
    for number in range(10):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await asyncio.sleep(1)
    outside.ill, outside.poisonous = False, "n3"
    await asyncio.sleep(40)
    assert words(tower).count("handled") == 9


async def test_twenty_deferrals_as_probe_then_it_counts(tower: Processes) -> None:
    """RULES 6.1: alone it is every probe; after twenty it costs an attempt, and so it comes to an end."""
    outside = Ropes(tower)
    await tower.start(ropes.using(World(behave=outside.pull)))
    await tower.hear(Rung(name="a"), "k")
    await tower.advance(timedelta(hours=1))
    seen = [
        each["outcome"] for each in tower.receipts() if each["cause"] != "breaker"
    ]  # not what waited in hand too long
    assert seen[:3] == ["retry", "retry", "deferred"]  # the third opens it
    assert seen[3 : 3 + PROBES_PER_DELIVERY] == ["deferred"] * PROBES_PER_DELIVERY
    assert seen[3 + PROBES_PER_DELIVERY :] == ["retry", "retry", "dead"]
    assert len(tower.letters()) == 1


async def test_a_probe_that_calls_nobody_gives_its_place_back(tower: Processes) -> None:
    """RULES 6.1: a run that never reached the outside decides nothing; another probes at once."""
    outside = Ropes(tower)
    world = World(behave=outside.pull)
    worker = await tower.start(ropes.using(world))
    states: list[str] = []
    for number in range(6):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await asyncio.sleep(1)
    states.append(worker.circuits["rope"].state)
    outside.ill = False
    await tower.advance(timedelta(seconds=60))
    states.append(worker.circuits["rope"].state)
    assert states == ["open", "half-open"]  # six probes are not enough for the whole ramp
    assert words(tower).count("handled") == 6


async def test_what_is_in_hand_waits_a_minute_and_the_queue_keeps_the_rest(tower: Processes) -> None:
    """RULES 6.6: then it is committed as deferred, and the consumer takes no more until the ramp allows it."""
    outside = Ropes(tower)
    worker = await tower.start(ropes.using(World(behave=outside.pull)))
    shared = worker.breakers.of(rope)
    await worker.commands["breaker"]({"do": "open", "name": "rope", "reason": "they migrate", "by": "ada"})
    assert shared.state == "held"
    for number in range(8):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await asyncio.sleep(IN_HAND_SECONDS - 5)
    assert words(tower) == []
    await asyncio.sleep(20)
    assert words(tower) == ["deferred"] * 8
    for number in range(8, 12):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await asyncio.sleep(300)
    assert words(tower) == ["deferred"] * 8, "what comes later stays in the queue"
    assert outside.calls == []
    outside.ill = False
    await worker.commands["breaker"]({"do": "close", "name": "rope", "reason": "done", "by": "ada"})
    await tower.advance(LONG)
    assert words(tower).count("handled") == 12
    assert max(each["attempt"] for each in tower.receipts()) == 1


class Bells:
    """A step whose undo has a breaker; what has run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.hushed: list[str] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.service = Service("guarded", owner="tests")

        @self.service.handler
        async def ring(rung: Rung, tx: Tx) -> Tolled:
            self.ran.append(rung.name)
            return Tolled(name=rung.name)

        @self.service.undo(ring, Tolled, by="name", breaker=rope)
        async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx) -> None:
            async with tx.outside(rope):
                self.hushed.append(rung.name)
                await self.goes_on.wait()


async def test_a_failure_is_noted_while_the_breaker_of_its_undo_is_shut(tower: Processes) -> None:
    """RULES 5.3, 6.6: at once and for as long as it is shut: a step that comes later is refused."""
    bells = Bells()
    worker = await tower.start(bells.service)
    await worker.commands["breaker"]({"do": "open", "name": "rope", "reason": "they migrate", "by": "ada"})
    for number in range(3):
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
        await tower.quiet()
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
        await tower.quiet()
        assert words(tower) == ["handled", "refused"] * (number + 1)
        await asyncio.sleep(2 * IN_HAND_SECONDS)
    assert bells.ran == []


async def test_the_undo_waits_for_its_breaker_and_comes(tower: Processes) -> None:
    """RULES 6.1, 6.6: it is deferred, at no attempt, and a failure behind any number of undos is noted all the same."""
    bells = Bells()
    worker = await tower.start(bells.service)
    await worker.commands["breaker"]({"do": "open", "name": "rope", "reason": "they migrate", "by": "ada"})
    for number in range(300):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await tower.quiet()
    for number in range(300):
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
    await asyncio.sleep(1)
    await tower.hear(Shut(name="late"), "late")
    await asyncio.sleep(1)
    await tower.hear(Rung(name="late"), "never")
    await asyncio.sleep(5 * IN_HAND_SECONDS)
    assert (bells.hushed, len(bells.ran)) == ([], 300)
    assert words(tower).count("refused") == 1
    await worker.commands["breaker"]({"do": "close", "name": "rope", "reason": "done", "by": "ada"})
    await tower.advance(LONG)
    assert sorted(bells.hushed) == sorted(bells.ran)
    undone = [each for each in tower.receipts() if each["subscription"] == "guarded.hush" and each["attempt"]]
    assert {each["attempt"] for each in undone} == {1}


async def test_an_undo_is_deferred_once_a_period(tower: Processes) -> None:
    """RULES 6.6: back at its end it waits in hand for the probe, and is not deferred for a moment again and again."""
    many, service, ill = 20, Service("herd", owner="tests"), [True]

    @service.handler(retry=BRIEF)
    async def ring(rung: Rung, tx: Tx) -> Tolled:
        return Tolled(name=rung.name)

    @service.undo(ring, Tolled, by="name", retry=BRIEF, breaker=rope)
    async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx) -> None:
        async with tx.outside(rope):
            if ill:
                raise Ill

    await tower.start(service)
    for number in range(many):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await tower.quiet()
    for number in range(many):
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
    await asyncio.sleep(45)
    deferred = Counter(each["event"]["id"] for each in tower.receipts() if each["outcome"] == "deferred")
    assert len(deferred) == many
    assert max(deferred.values()) <= 45 / rope.open_for.total_seconds() + 1
    ill.clear()
    await tower.advance(LONG)
    assert not tower.letters()


async def test_an_undo_does_not_wait_for_a_long_period_that_a_person_has_ended(tower: Processes) -> None:
    """RULES 6.6, 6.7: a Retry-After of a day defers it by minutes at a time: closed by hand, it comes soon."""
    ill, hushed = [True], list[str]()
    patient = Breaker("patient", failures=(Ill,), after=1, ill=lambda _: timedelta(days=1))
    service = Service("herd", owner="tests")

    @service.handler(retry=BRIEF)
    async def ring(rung: Rung, tx: Tx) -> Tolled:
        return Tolled(name=rung.name)

    @service.undo(ring, Tolled, by="name", retry=BRIEF, breaker=patient)
    async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx) -> None:
        async with tx.outside(patient):
            if ill:
                raise Ill
            hushed.append(rung.name)

    worker = await tower.start(service)
    for number in range(3):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
    await asyncio.sleep(3600)
    assert worker.breakers.of(patient).state == "open"
    ill.clear()
    await worker.commands["breaker"]({"do": "close", "name": "patient", "reason": "they are back", "by": "ada"})
    await until(lambda: len(hushed) == 3, OPEN_WAIT_SECONDS + 60)
    assert {each["attempt"] for each in tower.receipts()} == {1}


async def test_a_failure_passes_the_undos_that_wait_for_the_ramp(tower: Processes) -> None:
    """RULES 6.6: while a probe is out the other undos wait in hand, and a failure behind them is noted at once."""
    bells = Bells()
    worker = await tower.start(bells.service)
    await worker.commands["breaker"]({"do": "open", "name": "rope", "reason": "they migrate", "by": "ada"})
    for number in range(5):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
    await tower.quiet()
    bells.goes_on.clear()
    await worker.commands["breaker"]({"do": "close", "name": "rope", "reason": "done", "by": "ada"})
    await until(lambda: bool(bells.hushed), 2 * IN_HAND_SECONDS)
    await asyncio.sleep(1)
    assert worker.breakers.of(rope).state == "half-open"
    assert len(bells.hushed) == 1
    await tower.hear(Shut(name="late"), "late")
    await asyncio.sleep(1)
    await tower.hear(Rung(name="late"), "never")
    await asyncio.sleep(1)
    assert words(tower).count("refused") == 1
    bells.goes_on.set()
    await tower.advance(LONG)
    assert sorted(bells.hushed) == [f"n{number}" for number in range(5)]


async def test_a_busy_subscription_does_not_keep_another_from_calling(tower: Processes) -> None:
    """RULES 6.8: both share a limit: the one that comes late with one delivery is next, declared or not."""
    bank = Breaker("bank", failures=(Ill,), per_second=2)
    shared, calls = Service("shared", owner="tests"), list[str]()

    @shared.handler(breaker=bank)
    async def often(rung: Rung, tx: Tx) -> None:
        async with tx.outside(bank):
            calls.append("often")

    @shared.handler(breaker=bank)
    async def rarely(shut: Shut, tx: Tx) -> None:
        async with tx.outside(bank):
            calls.append("rarely")

    await tower.start(shared)
    for number in range(100):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    await until(lambda: len(calls) >= 10, 60)
    for number in range(3):
        await tower.hear(Shut(name=f"n{number}"), f"s{number}")
    await until(lambda: calls.count("rarely") == 3, 60)
    assert len(calls) <= 18, "each of the three came after at most two of the others"
    assert calls.count("often") >= 12
