"""Money must go back, and the card system does not give it: for a while, and for good."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from hocket.testing import Play
from services.payments.events import PaymentRefunded
from services.sandbox.domain import Api, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SOON, cancel, order, place, shop


@asynccontextmanager
async def returned(outside: FakeOutside) -> AsyncIterator[Play]:
    """An order that was shipped, paid and cancelled by its customer a moment ago."""
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        await cancel(order_id, "too dark")
        await stage.quiet()
        yield stage


async def test_a_refund_that_fails_for_a_while_comes() -> None:
    """RULES 5.4, 6.1: tried again, and behind an open breaker, under one key; nobody has to look."""
    outside = FakeOutside()
    fault = outside.fault(Target.CARDS, Kind.DOWN, api=Api.REFUNDS)
    async with returned(outside) as stage:
        await stage.advance(timedelta(minutes=3))
        assert not stage.said_of(PaymentRefunded)
        assert outside.stands().taken == 1
        outside.faults.remove(fault)
        await stage.advance(SOON)
        assert [each.refunded_cents for each in stage.said_of(PaymentRefunded)] == [999]
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.stands() == NOTHING
    assert len({line.asked.key for line in outside.lines if line.asked.api is Api.REFUNDS}) == 1


async def test_a_refund_that_is_refused_is_a_zombie_until_its_replay() -> None:
    """RULES 5.8: a letter of its owner; all else is given back; the replay settles it, under the same key."""
    outside = FakeOutside()
    fault = outside.fault(Target.CARDS, Kind.DECLINE, api=Api.REFUNDS)
    async with returned(outside) as stage:
        await stage.advance(SOON)
        assert list(stage.dead) == ["payments.refund"]
        assert len(stage.zombies) == 1
        assert outside.stands() == NOTHING._replace(taken=1)
        outside.faults.remove(fault)
        [letter] = stage.broker.messages("hocket.dead")
        await stage.workers["payments"].send(
            "payments.refund", letter.body, letter.content_type, replay="mended", attempt=2
        )
        await stage.advance(SOON)
        assert len(stage.said_of(PaymentRefunded)) == 1
        assert list(stage.zombies) == []
    assert outside.stands() == NOTHING
    assert len({line.asked.key for line in outside.lines if line.asked.api is Api.REFUNDS}) == 1
