"""Receipts on their way out of the relay."""

from collections.abc import Sequence

from hocket.topology import RECEIPTS
from hocket.transport import Message, Published
from tests.hocket.bells import Rung, Tower, World, bells, echo, until


async def test_receipts_go_together(tower: Tower) -> None:
    """Receipts of commits that follow each other are one publish; an event does not wait for them."""
    worker = await tower.start(bells.using(World(behave=echo)))
    await tower.quiet()
    batches: list[list[str]] = []
    publish = worker.relay.transport.publish

    async def seen(messages: Sequence[Message]) -> list[Published]:
        batches.append([message.exchange for message in messages])
        return await publish(messages)

    worker.relay.transport.publish = seen  # type: ignore[method-assign]  # what leaves, as it leaves
    for number in range(5):
        await tower.hear(Rung(name="a"), f"k{number}")
        await until(lambda number=number: len(batches) == number + 1)  # type: ignore[misc]
    assert batches == [["hocket.events"]] * 5
    await tower.quiet()
    assert batches[5:] == [[RECEIPTS] * 5]
