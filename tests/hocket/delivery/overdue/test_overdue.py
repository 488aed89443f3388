"""A time-out from its arming to its end, with everything but broker and clock real."""

from datetime import timedelta
from typing import Any

import pytest

from hocket import Event, Heard, Sensitive, Service, Tx
from hocket.event import Death
from hocket.testing import Play, play
from tests.hocket.delivery.overdue.shop import WITHIN, Cancelled, Lost, Paid, Pinged, Placed, shop, watch

MINUTE = timedelta(minutes=1)
FLOW = "01890a5d-ac96-774b-bcce-b302099a8057"


def timers(running: Play, subscription: str = "shop.unpaid") -> list[dict[str, Any]]:
    """What the receipts of a subscription say of its time-outs, in order."""
    return [each["timer"] for each in running.receipts if each.get("timer") and each["subscription"] == subscription]


def states(running: Play, subscription: str = "shop.unpaid") -> list[str]:
    """The states that the receipts tell."""
    return [each["state"] for each in timers(running, subscription)]


async def test_it_fires_once_when_nothing_answers() -> None:
    """RULES 5.7: what armed it is what its handler gets; it is not called before the time is over."""
    async with play(shop()) as running:
        await running.hear(Placed(order=1, amount=7), correlation_id=FLOW, key="a")
        await running.hear(Placed(order=1, amount=7), correlation_id=FLOW, key="a")
        await running.advance(WITHIN - MINUTE)
        assert running.said == []
        await running.advance(2 * MINUTE)
        assert running.said == [Cancelled(order=1, amount=7)]
        await running.advance(WITHIN)
        assert len(running.said) == 1
        assert states(running) == ["armed", "fired"]


async def test_an_answer_in_time_meets_it() -> None:
    """RULES 5.7: an answered time-out is over, and its scope is another than that of the next order."""
    async with play(shop()) as running:
        await running.hear(Placed(order=1), correlation_id=FLOW)
        await running.hear(Placed(order=2), correlation_id=FLOW)
        await running.advance(MINUTE)
        await running.hear(Paid(order=1), correlation_id=FLOW)
        await running.advance(WITHIN)
        assert running.said == [Cancelled(order=2, amount=1)]
        assert states(running) == ["armed", "armed", "met", "fired"]


async def test_an_answer_that_overtakes_its_arming_counts() -> None:
    """RULES 5.7: it leaves a mark, which the arming consumes."""
    async with play(shop()) as running:
        await running.hear(Paid(order=1), correlation_id=FLOW)
        await running.quiet()
        await running.hear(Placed(order=1), correlation_id=FLOW)
        await running.advance(2 * WITHIN)
        assert running.said == []
        assert states(running) == ["mark", "met"]


async def test_a_further_arming_begins_the_time_anew() -> None:
    """RULES 5.7: the alarm of an earlier period is void."""
    async with play(shop()) as running:
        await running.hear(Placed(order=1, amount=1), correlation_id=FLOW)
        await running.advance(WITHIN - MINUTE)
        await running.hear(Placed(order=1, amount=2), correlation_id=FLOW)
        await running.advance(2 * MINUTE)
        assert running.said == []
        await running.advance(WITHIN)
        assert running.said == [Cancelled(order=1, amount=2)]
        assert [each["n"] for each in timers(running)] == [1, 2, 2]


async def test_a_later_answer_is_late() -> None:
    """RULES 5.7: it is told in its receipt with how late it was, and in the row; what fired stays."""
    async with play(shop(late="accepted")) as running:
        await running.hear(Placed(order=1), correlation_id=FLOW)
        await running.advance(WITHIN + MINUTE)
        await running.hear(Paid(order=1), correlation_id=FLOW)
        await running.hear(Placed(order=1), correlation_id=FLOW)
        await running.advance(2 * WITHIN)
        assert len(running.said) == 1
        late = timers(running)[2]
        assert (late["state"], late["as"]) == ("fired", "accepted")
        assert late["late"] == pytest.approx(60, abs=2)
        assert timers(running)[3]["state"] == "fired"


async def test_another_flow_has_a_time_out_of_its_own() -> None:
    """RULES 5.7: an answer of another flow reaches it only where it is declared across flows."""
    for across, said in ((False, 1), (True, 0)):
        async with play(shop(across=across)) as running:
            await running.hear(Placed(order=1), correlation_id=FLOW)
            await running.hear(Paid(order=1))
            await running.advance(2 * WITHIN)
            assert len(running.said) == said


async def test_a_watch_begins_anew_with_each_event() -> None:
    """RULES 5.7: what arms and answers begins a new period, also after it has fired."""
    async with play(watch()) as running:
        for _ in range(3):
            await running.hear(Pinged(till=1))
            await running.advance(WITHIN - MINUTE)
        assert running.said == []
        await running.advance(2 * MINUTE)
        assert running.said == [Lost(till=1)]
        await running.hear(Pinged(till=1))
        await running.advance(WITHIN + MINUTE)
        assert len(running.said) == 2


async def test_a_fired_period_is_retried_and_dies_as_any_delivery() -> None:
    """RULES 5.7: retries, a letter, and `on_dead`, which is told that a time-out died; a replay runs it again."""
    jammed = [1, 1]
    service, told = shop(jammed), list[Death]()

    unpaid: Any = service.declarations.subscriptions["shop.unpaid"].call

    @service.on_dead(unpaid)
    def gave_up(order: Placed, death: Death) -> Cancelled:
        told.append(death)
        return Cancelled(order=order.order, amount=-1)

    async with play(service) as running:
        await running.hear(Placed(order=1, amount=3), correlation_id=FLOW)
        await running.advance(2 * WITHIN)
        assert running.dead == ["shop.unpaid"]
        assert [each.overdue for each in told] == [True]
        assert running.said == [Cancelled(order=1, amount=-1)]
        outcomes = [each["outcome"] for each in running.receipts if each.get("kind") == "receipt"]
        assert outcomes == ["handled", "retry", "dead"]


async def test_a_fired_period_runs_on_whatever_comes() -> None:
    """RULES 5.7: it has happened; an answer during its retries is late."""
    async with play(shop([1])) as running:
        await running.hear(Placed(order=1, amount=3), correlation_id=FLOW)
        await running.advance(WITHIN + timedelta(seconds=1))
        assert running.said == []
        await running.hear(Paid(order=1), correlation_id=FLOW)
        await running.advance(WITHIN)
        assert running.said == [Cancelled(order=1, amount=3)]
        assert "late" in timers(running)[-2]


class Invited(Heard, type="door.invited"):
    """Somebody was invited: arms."""

    person: Sensitive[str]


class Came(Heard, type="door.came"):
    """Came: answers."""

    person: Sensitive[str]


class Missed(Event, type="door.missed", subject="door"):
    """Nobody came in time."""


door = Service("door", owner="tests")


@door.overdue(WITHIN, unless=Came, by="person")
async def absent(who: Invited, tx: Tx) -> Missed:
    """Say it."""
    return Missed()


async def test_a_sensitive_scope_is_stored_as_its_key() -> None:
    """RULES 5.4: neither the row nor a receipt shows whom a time-out is about, and its answer finds it all the same."""
    async with play(door) as running:
        await running.hear(Invited(person="ada@example.com"), correlation_id=FLOW)
        await running.hear(Invited(person="grace@example.com"), correlation_id=FLOW)
        await running.hear(Came(person="ada@example.com"), correlation_id=FLOW)
        await running.quiet()
        async with running.workers["door"].runtime.store.read() as db:
            rows = (await db.exec_driver_sql("SELECT scope, state FROM hocket_timers")).all()
        assert sorted(row.state for row in rows) == ["armed", "met"]
        shown = [each["scope"] for each in timers(running, "door.absent")]
        assert not [each for each in (*shown, *(row.scope for row in rows)) if "example" in each]
