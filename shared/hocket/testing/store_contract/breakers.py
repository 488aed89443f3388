"""The store contract on breakers: one row a name, changed by pure decisions, and what is said of it."""

import asyncio
from datetime import timedelta

from hocket.breaker import Breaker
from hocket.resilience.breakers.row import BreakerRow, Sight
from hocket.resilience.breakers.transitions import Report, asked, told
from hocket.store.records import Ending
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, outbox_row, routing

CARDS = Breaker("cards", failures=(OSError,), after=2, open_for=timedelta(seconds=30))


def _failed(sight: Sight) -> BreakerRow:
    return told(sight, Report(sight.row.version, 2, 2, 2), CARDS, least=0.0, chance=0.0)


def _nothing(_: BreakerRow, __: BreakerRow) -> None:
    return None


def _said(before: BreakerRow, after: BreakerRow) -> Ending:
    return Ending(outbox=(outbox_row(f"{before.state}.{after.state}"),))


class BreakerContract(StoreSuite):
    """RULES 6.3: all replicas decide by the same row."""

    async def test_a_row_is_made_changed_and_kept(self, house: StoreHouse) -> None:
        """RULES 6.3: whoever starts next finds the breaker as it was left."""
        store = await house.start()
        sight, _ = await store.breakers.decide("cards", lambda seen: seen.row, _nothing)
        assert sight.row == BreakerRow("cards")
        sight, _ = await store.breakers.decide("cards", _failed, _nothing)
        assert (sight.row.state, sight.row.version, sight.remaining()) == ("open", 1, 30.0)
        await store.close()
        store = await house.start()
        [found] = await store.breakers.all()
        assert found.row == sight.row
        assert 0 < found.remaining() <= 30

    async def test_a_process_that_runs_lives(self, house: StoreHouse) -> None:
        """RULES 4.8: whoever asks for the processes of this service finds itself, with or without a breaker."""
        store = await house.start()
        living = await store.breakers.living()
        await store.breakers.decide("cards", _failed, _nothing)
        [sight] = await store.breakers.all()
        assert len(living) == 1
        assert tuple(sight.living) == tuple(living)

    async def test_a_change_is_said_once_with_the_change(self, house: StoreHouse) -> None:
        """RULES 6.7: what is said of a change is written with it; a decision that changes nothing says nothing."""
        store = await house.start()
        _, rows = await store.breakers.decide("cards", _failed, _said)
        assert [row.message.routing_key for row in rows] == ["closed.open"]
        assert rows[0].id
        _, rows = await store.breakers.decide("cards", lambda seen: seen.row, _said)
        assert rows == ()
        assert routing(await store.due(0, 10)) == ["closed.open"]

    async def test_of_many_who_ask_at_once_one_gets_the_slot(self, house: StoreHouse) -> None:
        """RULES 6.4: the first step of the ramp lets one call out, however many ask together."""
        store = await house.start()
        await store.breakers.decide("cards", _failed, _nothing)
        await house.step(31)
        boot = (await store.breakers.all())[0].living[0]

        async def ask(number: int) -> bool:
            slot = f"{boot}/{number}"
            sight, _ = await store.breakers.decide("cards", lambda seen: asked(seen, slot, 60, CARDS), _nothing)
            return slot in sight.row.granted()

        assert sum(await asyncio.gather(*(ask(number) for number in range(8)))) == 1
