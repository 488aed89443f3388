"""Time-outs, breakers and other flows in the tracer, told by running services."""

from datetime import timedelta
from typing import Any

from hocket import Breaker, Event, Heard, Retry, Service, Tx
from hocket.testing import Play, play
from services.tracer import tracer
from services.tracer.ask.around import around
from services.tracer.ask.breakers import (
    BreakerSeen,
    breakers_of,
    changes_between,
    last_changes,
    waiting_by_subscription,
)
from services.tracer.ask.flows import flow_of
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.services import heartbeats_of
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.show.as_json import flow_json
from services.tracer.show.sentences import plain, where_is
from tests.hocket.delivery.overdue.shop import WITHIN, Paid, Placed, shop

FLOW, OTHER = "0198c5b8-0000-7000-8000-000000000001", "0198c5b8-0000-7000-8000-000000000002"
MINUTE = timedelta(minutes=1)


async def flow_at(id: str) -> Flow:
    """A flow as the tracer shows it now."""
    async with tracer.tx() as tx:
        db = await tx.read()
        found = await flow_of(db, id, await knowledge(db), now=tx.time)
        assert found is not None
        return found


async def told(id: str) -> tuple[str, dict[str, Any]]:
    """What the tracer says of a flow: its sentence, and the time-out as programs get it."""
    flow = await flow_at(id)
    async with tracer.tx() as tx:
        db = await tx.read()
        known = await knowledge(db)
        reasons = await around(db, known, tx.time)
        timeouts = flow_json(flow, known, tx.time, reasons)["timeouts"]
        return plain(where_is("It", flow, tx.time, reasons)), timeouts[0] if timeouts else {}


async def test_a_timeout_is_armed_fires_and_is_answered_late() -> None:
    """RULES 5.7: waiting and not silent while it is armed; then what it did, and by how much the answer was late."""
    async with play(shop(late="accepted"), tracer) as stage:
        await stage.hear(Placed(order=1), subject="order/1", correlation_id=FLOW)
        await stage.advance(MINUTE)
        said, timeout = await told(FLOW)
        assert (await flow_at(FLOW)).state is FlowState.WAITING
        assert said.startswith("It is waiting for time-out shop.unpaid, due at ")
        assert (timeout["state"], timeout["unless"], timeout["owner"]) == ("armed", ["bank.paid"], "tests")
        assert timeout["armed"]["type"] == "till.placed"
        await stage.advance(WITHIN)
        _, timeout = await told(FLOW)
        assert (timeout["state"], timeout["met"], timeout["late"]) == ("fired", None, [])
        assert (await flow_at(FLOW)).state is FlowState.DONE
        await stage.hear(Paid(order=1), subject="order/1", correlation_id=FLOW)
        await stage.advance(MINUTE)
        _, timeout = await told(FLOW)
        assert (timeout["state"], timeout["late"][0]["as"]) == ("late", "accepted")
        assert 0 < timeout["late"][0]["late_seconds"] < 120


async def test_an_answer_in_another_flow_is_told_by_both() -> None:
    """RULES 5.7, `across`: the flow that waited knows what met it, and where."""
    async with play(shop(across=True), tracer) as stage:
        await stage.hear(Placed(order=1), subject="order/1", correlation_id=FLOW)
        await stage.hear(Paid(order=1), subject="order/1", correlation_id=OTHER)
        await stage.advance(MINUTE)
        _, timeout = await told(FLOW)
        assert (timeout["state"], timeout["met"]["flow"]) == ("met", OTHER)
        assert (await flow_at(FLOW)).state is FlowState.DONE
        other = await flow_at(OTHER)
        assert [each.timer and each.timer.flow for each in other.answers_elsewhere] == [FLOW]


class Called(Heard, type="tower.called"):
    """Somebody wants the bell."""

    name: str


class Rang(Event, type="bell.rang", subject="bell/{name}"):
    """It rang."""

    name: str


def bells(ill: list[bool]) -> Service[None]:
    """A service whose dependency is ill while the list says so."""
    rope = Breaker("rope", failures=(ConnectionError,), after=5, open_for=timedelta(seconds=20), ramp=2)
    service = Service("bell", owner="team-bells")

    @service.handler(breaker=rope, retry=Retry(retries=2))
    async def pull(called: Called, tx: Tx) -> Rang:
        async with tx.outside(rope, "pull"):
            if ill[0]:
                raise ConnectionError(f"secret {called.name}")
        return Rang(name=called.name)

    return service


async def seen(stage: Play) -> BreakerSeen:
    """The one breaker, as the tracer knows it."""
    async with tracer.tx() as tx:
        db = await tx.read()
        known = await knowledge(db)
        [found] = breakers_of(await heartbeats_of(db), await last_changes(db), known, await waiting_by_subscription(db))
        return found


async def test_a_breaker_is_told_with_its_cause_and_who_waits() -> None:
    """RULES 6.7: open with the kind of the last failure and the next probe, whose it is, and how many flows wait."""
    ill = [True]
    async with play(bells(ill), tracer) as stage:
        flows = [f"0198c5b8-0000-7000-8000-0000000001{number:02}" for number in range(5)]
        for number, flow in enumerate(flows):
            await stage.hear(Called(name=f"n{number}"), subject=f"bell/n{number}", correlation_id=flow)
        await stage.advance(timedelta(seconds=15))
        found = await seen(stage)
        assert (found.state, found.owner, found.flows) == ("open", "team-bells", 5)
        assert found.reason == "5 failures in a row, the last by ConnectionError"
        assert "secret" not in found.reason
        said, _ = await told(flows[0])
        assert "breaker rope is open since" in said
        assert "next probe at" in said
        assert "4 other flows wait for it" in said
        ill[0] = False
        await stage.advance(3 * MINUTE)
        found = await seen(stage)
        assert (found.state, found.flows) == ("closed", 0)
        assert (await flow_at(flows[0])).state is FlowState.DONE
        async with tracer.tx() as tx:
            db = await tx.read()
            every = await changes_between(db, [("bell", "rope")], tx.time - timedelta(hours=1), tx.time)
        assert [each.state for each in every] == ["open", "half-open", "closed"]
        assert [each.version for each in every] == sorted({each.version for each in every})
