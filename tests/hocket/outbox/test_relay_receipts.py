"""Receipts on their way out of the relay."""

import asyncio
from collections.abc import Sequence

from hocket.broker.port import Message, Published
from hocket.broker.topology import RECEIPTS
from hocket.outbox.backlog import RECEIPT_LINGER
from tests.hocket.sample_services import Processes, Rung, World, bells, echo


async def test_receipts_go_together(tower: Processes) -> None:
    """Receipts of commits that follow each other are one publish; an event does not wait for them."""
    worker = await tower.start(bells.using(World(behave=echo)))
    await tower.quiet()
    batches: list[list[str]] = []
    publish = worker.relay.runtime.transport.publish

    async def seen(messages: Sequence[Message]) -> list[Published]:
        batches.append([message.exchange for message in messages])
        return await publish(messages)

    worker.relay.runtime.transport.publish = seen  # type: ignore[method-assign]  # what leaves, as it leaves
    for number in range(5):
        await tower.hear(Rung(name="a"), f"k{number}")
        await asyncio.sleep(RECEIPT_LINGER / 10)
    await tower.quiet()
    *events, receipts = batches
    assert [exchange for batch in events for exchange in batch] == ["hocket.events"] * 5
    assert set(receipts) == {RECEIPTS}
    assert len(receipts) > 1
