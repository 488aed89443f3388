"""Virtual time: waits cost no real time, and afterwards time is real again."""

import asyncio
import time

from hocket.testing.virtual_time import EPOCH, virtual_time


async def test_a_day_passes_at_once() -> None:
    """Timers fire in order, and the clock shows the time that has passed."""
    began = time.monotonic()
    fired: list[int] = []

    async def later(seconds: int) -> None:
        await asyncio.sleep(seconds)
        fired.append(seconds)

    with virtual_time() as clock:
        await asyncio.gather(*(later(each) for each in (86_400, 60, 3_600)))
        assert (clock.now() - EPOCH).total_seconds() >= 86_400
    assert fired == [60, 3_600, 86_400]
    assert time.monotonic() - began < 5
    assert abs(asyncio.get_running_loop().time() - time.monotonic()) < 1
