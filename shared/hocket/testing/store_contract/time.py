"""The store contract on time: the store's clock decides, and what a wrong clock has left is put right."""

from hocket.store.records import Ending, RowKind
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, near, outbox_row, routing

DAY = 86_400.0


class TimeContract(StoreSuite):
    """RULES 11, 2.7: one clock for all."""

    async def test_its_clock_is_told(self, house: StoreHouse) -> None:
        """RULES 11.1: the clock by which the store decides, and the horizon, none at first."""
        store = await house.start()
        before = await store.clock.time()
        assert before.horizon == 0
        await store.clock.move_horizon(DAY, 0)
        after = await store.clock.time()
        assert after.now == near(before.now)
        assert after.horizon == store.clock.horizon == near(before.now - DAY)

    async def test_what_is_further_away_than_it_waits_is_put_right(self, house: StoreHouse) -> None:
        """RULES 11.2: what a clock that was ahead has written is due its wait from now; nothing else moves."""
        store = await house.start()
        await house.step(20 * DAY)
        await store.commit([Ending(outbox=(outbox_row("retry", wait=60, kind=RowKind.SELF), outbox_row("now")))])
        await house.step(-20 * DAY)
        await store.commit([Ending(outbox=(outbox_row("timer", wait=30 * DAY),))])
        moment = outbox_row("moment", kind=RowKind.SCHEDULED)._replace(due=(await store.clock.time()).now + 9 * DAY)
        await store.commit([Ending(outbox=(moment,))])
        assert await store.next_due() == near(9 * DAY)
        assert await store.clock.put_right() == 1
        assert await store.clock.put_right() == 0
        assert await store.next_due() == near(60)
        await house.step(60)
        assert routing(await store.due(None, 10)) == ["retry"]
        await house.step(9 * DAY - 60)
        assert routing(await store.due(None, 10)) == ["moment"]
        assert await store.next_due() == near(21 * DAY)

    async def test_the_horizon_only_moves_forward_and_not_far_at_once(self, house: StoreHouse) -> None:
        """RULES 2.7: it begins where it is put first; a clock that is far ahead moves it no more than a step."""
        store = await house.start()
        begun = await store.clock.move_horizon(30 * DAY, 0)
        await house.step(3600)
        since = (await store.clock.time()).horizon
        assert await store.clock.move_horizon(30 * DAY, 7200) == near(since + 3600)
        assert await store.clock.move_horizon(90 * DAY, 7200) == near(since + 3600)
        await house.step(400 * DAY)
        since = (await store.clock.time()).horizon
        assert await store.clock.move_horizon(30 * DAY, 7200) == near(since + 7200)
        assert begun != 0

    async def test_the_last_sweep_is_remembered(self, house: StoreHouse) -> None:
        """RULES 2.7: any process knows whether one has swept of late; a clock that went back says no."""
        store = await house.start()
        assert not await store.clock.swept_within(3600)
        await store.clock.sweep_ended()
        assert await store.clock.swept_within(3600)
        await house.step(4000)
        assert not await store.clock.swept_within(3600)
        await store.clock.sweep_ended()
        await house.step(-60)
        assert not await store.clock.swept_within(3600)
