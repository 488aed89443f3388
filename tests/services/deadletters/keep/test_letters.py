"""The desk's store where several write at once, on databases of both kinds."""

import asyncio

from tests.services.deadletters.running_desk import dead, manifest, receipt, running_desk, time


async def test_letter_and_receipt_at_once(address: str) -> None:
    """RULES 8.2: a letter and what settles it, kept at the same moment, find each other in either order."""
    numbers = range(1, 31)
    async with running_desk(address) as desk:
        await asyncio.gather(
            *(desk.dead(dead(number)) for number in numbers),
            *(desk.told(receipt(number)) for number in numbers),
            *(desk.told(manifest(time=time(number))) for number in numbers),
        )
        assert (await desk.letters())["counts"]["handled"] == len(numbers)
