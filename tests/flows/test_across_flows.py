"""A purchase in one flow and its cancellation in another, on a real broker: RULES 5.1, 5.3, 5.4 with `across=True`."""

import asyncio
import itertools
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hocket import Heard
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, routing_key
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.declarations.subscription import name_of
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.ids import Ids
from hocket.outcome import Word
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Ended, Listener, Signals
from hocket.worker import Worker
from tests.hocket.across_bank import BOUGHT, DROPPED, Bank, Bought, Cancelled, bank

#: Seconds in which everything must come to its end.
PATIENCE = 60.0
#: Seconds that a command may take, the start of Python included.
COMMAND_SECONDS = 60.0
THIRD = "0198c5b8-0000-7000-8000-000000000003"
_orders = itertools.count(1)


class Ends(Listener):
    """What ended how, and the dead letters."""

    def __init__(self) -> None:
        self.found: list[Ended] = []

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Keep them."""
        self.found.extend(ended)

    def many(self, subscription: str, *words: Word) -> int:
        """How many attempts of this subscription ended so."""
        return sum(each.subscription == subscription and each.word in words for each in self.found)


class Branch:
    """The bank as a process runs it, one after another on one database, and a way to say what it hears."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.world, self.ends = Bank(), Ends()
        self.order = f"order {next(_orders)}"
        self.worker: Worker
        self._post = RabbitTransport(url, "tests")
        self._ids = Ids(SystemClock(), random.Random())

    async def open(self) -> None:
        """Connect, and start the first process."""
        await self._post.open()
        await self._post.until_ready()
        await self.start()

    async def start(self) -> None:
        """Start the bank; returns when it is ready."""
        clock, boot = SystemClock(), self._ids.uuid7()
        self.worker = Worker(
            bank.using(self.world),
            store=SqliteStore(str(self.folder / "bank.db"), clock=clock, boot=boot),
            transport=RabbitTransport(self.url, "bank"),
            signals=Signals([self.ends]),
            clock=clock,
            chance=random.Random(1),
            boot=boot,
            config=Config.model_construct(None),
            version="test",
        )
        await self.worker.start()
        await self.until(lambda: not self.worker.health(), "ready")

    async def kill(self) -> None:
        """End the process without an end: nothing is settled, committed or closed in order."""
        assert isinstance(self.worker.runtime.store, SqliteStore)
        await self.worker.runtime.store.abandon()
        await self.worker.kill()
        await self.worker.runtime.transport.close()

    async def close(self) -> None:
        """Stop and disconnect."""
        await self.worker.stop()
        await self._post.close()

    async def hear(self, event: Heard, key: str, flow: str) -> None:
        """Publish an event as another service would."""
        type_, version = name_of(type(event))
        envelope = Envelope(
            id=self._ids.uuid7(), source="/shop", type=type_, version=version, subject=f"order/{self.order}",
            time=SystemClock().now(), correlation_id=flow, idempotency_key=f"{self.order} {key}",
            data=event.model_dump(mode="json"),
        )  # fmt: skip
        message = Message(EVENTS, routing_key(type_, version), encode(envelope), CONTENT_TYPE, type=type_)
        await self._post.publish([message])

    async def buy(self, key: str = "k", flow: str = BOUGHT) -> None:
        """The step's input."""
        await self.hear(Bought(order=self.order), key, flow)

    async def cancel(self, key: str = "c", flow: str = DROPPED) -> None:
        """The failure."""
        await self.hear(Cancelled(order=self.order), key, flow)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Return when it holds."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not holds():
            assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}: {self.ends.found}"
            await asyncio.sleep(0.02)

    async def settled(self, many: int) -> None:
        """Return when so many deliveries have come to an end, and nothing is in progress."""
        final = {Word.HANDLED, Word.DEAD, Word.DUPLICATE, Word.REFUSED, Word.OBSOLETE}
        await self.until(lambda: sum(each.word in final for each in self.ends.found) >= many, f"{many} ends")
        await self.until(self.worker.idle, "rest")

    async def ledger(self) -> list[str]:
        """The states of the ledger's rows."""
        async with self.worker.runtime.store.read() as db:
            return [row.state for row in await db.exec_driver_sql("SELECT state FROM hocket_ledger")]


@asynccontextmanager
async def branch_at(url: str, folder: Path) -> AsyncIterator[Branch]:
    """A bank that is ready."""
    made = Branch(url, folder)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def branch(broker_url: str, tmp_path: Path) -> AsyncIterator[Branch]:
    """A bank that is ready."""
    async with branch_at(broker_url, tmp_path) as made:
        yield made


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("SFf"))))
async def test_every_order_of_step_failure_and_second_failure(branch: Branch, order: tuple[str, ...]) -> None:
    """RULES 5.3, 5.4: one undo where the step came first, none where it was refused; a copy changes nothing."""
    for many, each in enumerate(order, 1):
        if each == "S":
            await branch.buy()
        else:
            await branch.cancel(each, DROPPED if each == "F" else THIRD)
        await branch.settled(many)
    await branch.buy()
    ran = order[0] == "S"
    await branch.settled(5 if ran else 4)
    assert branch.world.given == ([(branch.order, True, BOUGHT, branch.world.taken[0])] if ran else [])
    assert await branch.ledger() == ["undone" if ran else "refused"]


async def test_a_failure_that_comes_while_the_service_is_away(branch: Branch) -> None:
    """RULES 5.3: the process dies after the step; the failure of another flow waits, and its next process undoes."""
    await branch.buy()
    await branch.settled(1)
    await branch.kill()
    await branch.cancel()
    await branch.start()
    await branch.settled(3)
    assert branch.world.given == [(branch.order, True, BOUGHT, branch.world.taken[0])]


async def test_a_process_that_dies_within_its_undo(branch: Branch) -> None:
    """RULES 5.4: the next process undoes again, under the same keys."""
    branch.world.hangs = True
    await branch.buy()
    await branch.settled(1)
    await branch.cancel()
    await branch.until(lambda: branch.world.given, "the undo to begin")
    await branch.kill()
    branch.world.hangs = False
    await branch.start()
    await branch.until(lambda: branch.ends.many("bank.give_back", Word.HANDLED) == 2, "failure and undo")
    await branch.until(branch.worker.idle, "rest")
    assert len(branch.world.given) == 2
    assert len(set(branch.world.given)) == 1
    assert await branch.ledger() == ["undone"]


async def test_a_process_that_dies_within_its_step(branch: Branch) -> None:
    """RULES 5.2, 5.3: the failure marked the run; the next process takes it over, ends it and undoes it."""
    branch.world.slow = True
    await branch.buy()
    await branch.until(lambda: branch.world.taken, "the step to begin")
    await branch.cancel()
    await branch.until(lambda: branch.ends.many("bank.give_back", Word.HANDLED), "the mark")
    await branch.kill()
    branch.world.slow = False
    await branch.start()
    await branch.until(lambda: branch.ends.many("bank.give_back", Word.HANDLED) == 2, "the undo")
    await branch.until(branch.worker.idle, "rest")
    assert len(set(branch.world.taken)) == 1
    assert branch.world.given == [(branch.order, True, BOUGHT, branch.world.taken[0])]


async def test_an_undo_that_dies_is_mended_by_its_replay(branch: Branch) -> None:
    """RULES 5.4, 5.8: dead it leaves `undoing`; the replay of its letter undoes under the same keys."""
    branch.world.answers = False
    await branch.buy()
    await branch.settled(1)
    await branch.cancel()
    await branch.until(lambda: branch.ends.many("bank.give_back", Word.DEAD), "the letter")
    await branch.until(branch.worker.idle, "rest")
    assert await branch.ledger() == ["undoing"]
    [death] = [each for each in branch.ends.found if each.word is Word.DEAD]
    assert (death.asks, death.correlation_id) == ("zombie", BOUGHT)
    branch.world.answers = True
    letter = await letter_of(branch)
    await branch.worker.send("bank.give_back", *letter, replay="r", attempt=3)
    await branch.until(lambda: branch.ends.many("bank.give_back", Word.HANDLED) == 2, "the replay")
    await branch.until(branch.worker.idle, "rest")
    assert await branch.ledger() == ["undone"]
    assert len(set(branch.world.given)) == 1


async def letter_of(branch: Branch) -> tuple[bytes, str]:
    """Body and content type of the one dead letter, which is taken from the queue."""
    came: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()
    transport = RabbitTransport(branch.url, "desk")
    await transport.open()
    await transport.until_ready()
    consumer = await transport.consume(
        "hocket.dead", prefetch=1, deliver=lambda delivery: came.put_nowait((delivery.body, delivery.content_type))
    )
    async with asyncio.timeout(PATIENCE):
        found = await came.get()
    await consumer.close()
    await transport.close()
    return found


DESK = '''"""The desk of a shop: it says cancellations, from a shell."""

from hocket import Event, Service

desk = Service("desk", owner="team-shop")


class Cancelled(Event, type="shop.cancelled", subject="order/{order}"):
    order: str


desk.says(Cancelled)
'''


async def test_a_cancellation_from_a_shell_reaches_a_step_of_a_finished_flow(branch: Branch, tmp_path: Path) -> None:
    """RULES 5.3: `hocket say` is a speaker like any other; the flow that bought ended long before."""
    await branch.buy()
    await branch.settled(1)
    (tmp_path / "desk_of_a_shop.py").write_text(DESK)
    words = [
        sys.executable,
        "-m",
        "hocket",
        "say",
        "desk_of_a_shop",
        "shop.cancelled",
        f'{{"order": "{branch.order}"}}',
    ]
    ended = await asyncio.to_thread(
        subprocess.run, words, cwd=tmp_path, env=os.environ | {"HOCKET_BROKER_URL": branch.url}, capture_output=True,
        text=True, timeout=COMMAND_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    await branch.settled(3)
    assert branch.world.given == [(branch.order, True, BOUGHT, branch.world.taken[0])]
    assert await branch.ledger() == ["undone"]
