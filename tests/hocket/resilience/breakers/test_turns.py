"""Subscriptions that share a breaker in one process go in turn: the longest ungranted first."""

import asyncio

from hocket.resilience.breakers.turns import LATE_SECONDS, Turns


def test_whoever_was_granted_longest_ago_is_next() -> None:
    """RULES 6.8: one that was never granted comes before all others, and then they alternate."""
    turns = Turns()
    turns.granted("busy")
    turns.waits("rare", 0.0, 1.0)
    assert not turns.is_next("busy", 0.5)
    assert turns.is_next("rare", 0.5)
    turns.granted("rare")
    turns.waits("rare", 0.5, 1.0)
    assert turns.is_next("busy", 0.5)
    turns.granted("busy")
    assert not turns.is_next("busy", 0.5)


def test_nobody_waits_for_one_that_does_not_come() -> None:
    """RULES 6.8: it said when it asks again; a little later the others go on."""
    turns = Turns()
    turns.granted("busy")
    turns.waits("gone", 0.0, 1.0)
    assert not turns.is_next("busy", 1.0 + LATE_SECONDS)
    assert turns.is_next("busy", 1.01 + LATE_SECONDS)


async def test_calls_that_wait_come_by_subscription() -> None:
    """RULES 6.8: thirty calls of one that asked before do not stand before the one of another."""
    turns, order = Turns(), list[str]()

    async def call(who: str) -> None:
        async with turns.turn(who):
            turns.granted(who)
            order.append(who)
            await asyncio.sleep(0)

    await asyncio.gather(*(call("busy") for _ in range(30)), *(call("rare") for _ in range(2)))
    assert order[:5] == ["busy", "rare", "busy", "rare", "busy"]
    assert len(order) == 32


async def test_a_turn_of_one_that_was_cancelled_is_passed_on() -> None:
    """RULES 6.8: before its turn has come, and at the moment at which it comes."""
    turns, order = Turns(), list[str]()

    async def call(who: str) -> None:
        async with turns.turn(who):
            order.append(who)

    async with turns.turn("first"):
        waiting = [asyncio.ensure_future(call(who)) for who in ("a", "b", "c")]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert order == ["c"]
    async with turns.turn("last"):
        order.append("last")
    assert order == ["c", "last"]
