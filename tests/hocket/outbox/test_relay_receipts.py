"""Receipts on their way out of the relay."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from hocket.broker.port import Message, Published
from hocket.broker.topology import RECEIPTS
from hocket.config import Config
from hocket.store.records import JOINED_BYTES, Waiting, joined_receipts, receipt_row
from tests.hocket.sample_services import Behave, Processes, Rung, World, bells, book, echo, until

LINGER = Config.model_construct().receipt_linger_seconds


async def test_receipts_go_together(tower: Processes) -> None:
    """RULES 3.4: receipts of commits that follow each other are one message; an event does not wait for them.

    Once it is confirmed, none of their rows is left in the store.
    """
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
        await asyncio.sleep(LINGER / 10)
    await tower.quiet()
    *events, receipts = batches
    assert [exchange for batch in events for exchange in batch] == ["hocket.events"] * 5
    assert receipts == [RECEIPTS]
    assert len(tower.receipts()) == 5
    assert (await worker.runtime.store.waiting()).receipts == 0


def test_joined_receipts_have_a_bound() -> None:
    """RULES 3.4: a message of joined receipts has at most 64 KiB; a commit's receipts stay together, in order."""
    rows = [receipt_row([json.dumps({"n": n, "pad": "x" * 10_000}).encode()], 1.0).stored(n + 1) for n in range(20)]
    rows.append(receipt_row([b'{"n": 20, "pad": "' + b"x" * JOINED_BYTES + b'"}'], 1.0).stored(21))
    messages = joined_receipts(rows)
    assert [fact["n"] for each in messages for fact in json.loads(each.message.body)] == list(range(21))
    assert [id for each in messages for id in each.ids] == list(range(1, 22))
    assert len(messages) == 5
    assert all(len(each.message.body) <= JOINED_BYTES for each in messages[:-1])
    assert messages[-1] == rows[-1]


@pytest.mark.parametrize("behave", [book, echo])
async def test_receipts_are_shed_and_counted_and_stop_nobody(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, behave: Behave
) -> None:
    """RULES 4.6: receipts have a bound of their own; beyond it they are shed, also those of a handler's own `Tx`."""
    world = World(behave=behave)
    worker = await tower.start(bells.using(world), Config.model_construct(outbox_max_receipts=10))
    await tower.quiet()

    async def waiting() -> Waiting:
        return Waiting(receipts=10)

    monkeypatch.setattr(worker.runtime.store, "waiting", waiting)
    await until(lambda: worker.backlog.receipts_full, 2)
    for number in range(30):
        await tower.hear(Rung(name="a"), f"k{number}")
    await tower.quiet()
    assert world.attempts == [1] * 30
    assert len([each for each in tower.log() if each.type == "bell.echoed"]) == 30
    assert worker.reporter.shed == 30
    assert tower.receipts() == []
    await tower.advance(timedelta(seconds=20))
    facts = [fact for each in tower.broker.messages("hocket.receipts") for fact in json.loads(each.body)]
    assert [fact["shed"] for fact in facts if fact["kind"] == "heartbeat"][-1] == 30  # the gap is told
