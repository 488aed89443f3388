"""The relay after an outage: what ends its probing."""

import asyncio
from collections.abc import Sequence

import pytest

from hocket.broker.port import Message, Published, Verdict
from hocket.config import Config
from hocket.outbox.backlog import FORGET_LINGER
from hocket.store.records import Ending, OutboxRow, RowKind
from hocket.worker import Worker
from tests.hocket.sample_services import Processes, World, bells, until

LOST, CONFIRMED = Published(Verdict.UNKNOWN, "the connection was lost"), Published(Verdict.CONFIRMED)


class Publishes:
    """Stands in for a transport's `publish`; the test answers each call."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._answers: list[asyncio.Future[Published]] = []

    async def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Wait for the answer of the test."""
        self.sizes.append(len(messages))
        self._answers.append(asyncio.get_running_loop().create_future())
        return [await self._answers[-1]] * len(messages)

    async def answer(self, call: int, answer: Published) -> None:
        """Answer a call, and let the relay act on it."""
        self._answers[call].set_result(answer)
        await asyncio.sleep(0.01)


async def put(worker: Worker, tower: Processes, count: int) -> None:
    """Commit rows of no subject and hand them to the relay."""
    message = Message("bells", "bells.ring", b"{}", "application/json")
    rows = tuple(OutboxRow(RowKind.SELF, message, tower.clock.now().timestamp()) for _ in range(count))
    [written] = await worker.runtime.store.commit([Ending(outbox=rows)])
    worker.backlog.add(written.outbox)


async def test_only_the_answer_to_the_probe_lets_the_rest_go(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 4.4: a confirm of what set out before the cut says nothing of the new connection."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    calls = Publishes()
    with monkeypatch.context() as patch:
        patch.setattr(worker.runtime.transport, "publish", calls.publish)
        for count in (3, 4):
            await put(worker, tower, count)
            await until(lambda count=count: calls.sizes[-1:] == [count], 1)  # type: ignore[misc]
        await calls.answer(0, LOST)
        assert calls.sizes == [3, 4]  # a publish is under way: no probe yet
        await calls.answer(1, CONFIRMED)
        assert calls.sizes == [3, 4, 1]
        await calls.answer(2, LOST)
        assert calls.sizes == [3, 4, 1, 1]
        await calls.answer(3, CONFIRMED)
        assert calls.sizes == [3, 4, 1, 1, 2]
        await calls.answer(4, CONFIRMED)
    await tower.quiet()


async def test_a_refused_row_is_work_until_it_is_set_aside(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 4.3: the relay is not idle while the store still writes that the broker refused a row."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    calls, written, refuse = Publishes(), asyncio.Event(), worker.runtime.store.refuse

    async def slow(id: int, reason: str) -> None:
        await written.wait()
        await refuse(id, reason)

    with monkeypatch.context() as patch:
        patch.setattr(worker.runtime.transport, "publish", calls.publish)
        patch.setattr(worker.runtime.store, "refuse", slow)
        await put(worker, tower, 1)
        await until(lambda: calls.sizes == [1], 1)
        await calls.answer(0, Published(Verdict.REFUSED, "too big"))
        assert not worker.relay.idle
        written.set()
        await until(lambda: worker.relay.idle, 1)
    assert (await worker.runtime.store.waiting()).refused == 1


async def test_few_rows_in_memory_do_not_wait_for_many(tower: Processes) -> None:
    """RULES 4.6: confirmed rows leave memory a part at a time, so that few rows in memory keep up too."""
    worker = await tower.start(bells.using(World()), Config.model_construct(outbox_memory_rows=16, outbox_batch=4))
    await tower.quiet()
    began = tower.clock.monotonic()
    await put(worker, tower, 160)
    await until(lambda: worker.relay.idle, 10)
    assert tower.clock.monotonic() - began < 5 * FORGET_LINGER
