"""Items that wait for each other."""

import asyncio
from collections.abc import Sequence

from hocket.outbox.batcher import Batcher
from hocket.testing.virtual_time import virtual_time


async def test_the_first_of_them_ends_the_wait() -> None:
    """Those within the time of the first go together, in order; whoever comes later begins anew."""
    went: list[list[int]] = []

    def hand(items: Sequence[int]) -> None:
        went.append(list(items))

    with virtual_time():
        gather = Batcher[int](1.0, 10, hand)
        gather.add(1)
        await asyncio.sleep(0.9)
        gather.add(2)
        assert (went, len(gather)) == ([], 2)
        await asyncio.sleep(0.2)
        assert (went, len(gather)) == ([[1, 2]], 0)
        gather.add(3)
        await asyncio.sleep(0.9)
        assert went == [[1, 2]]
        await asyncio.sleep(0.2)
        assert went == [[1, 2], [3]]


async def test_many_do_not_wait() -> None:
    """As many as may go together go at once, and the time that was begun does not cut the next short."""
    went: list[list[int]] = []
    with virtual_time():
        gather = Batcher[int](1.0, 2, lambda items: went.append(list(items)))
        gather.add(1)
        await asyncio.sleep(0.5)
        gather.add(2)
        assert went == [[1, 2]]
        gather.add(3)
        await asyncio.sleep(0.6)
        assert went == [[1, 2]]
        await asyncio.sleep(0.5)
        assert went == [[1, 2], [3]]


async def test_somebody_who_waits_for_them_lets_them_go() -> None:
    """`flush` hands on what waits, once; nothing where nothing waits."""
    went: list[list[int]] = []
    with virtual_time():
        gather = Batcher[int](1.0, 9, lambda items: went.append(list(items)))
        gather.flush()
        gather.add(1)
        gather.flush()
        assert went == [[1]]
        await asyncio.sleep(2.0)
        assert went == [[1]]
