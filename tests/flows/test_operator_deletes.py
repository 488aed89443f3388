"""An operator deletes exchanges, bindings and empty queues while everybody speaks: nothing is lost, nothing doubled."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aio_pika
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from deploy.broker.node import RabbitNode
from hocket import Service, Tx
from hocket.broker.topology import EVENTS, HEARD, LOG, UNHEARD
from tests.flows.two_services import PATIENCE, Choir, choir

#: Events that are said while the operator deletes, a few each moment.
SAID = 30

tables = MetaData()
noted = Table("noted", tables, Column("id", Integer, primary_key=True), Column("number", Integer, nullable=False))


class Trio:
    """The two services, and `tenor`, which hears the same as `alto`."""

    def __init__(self, band: Choir) -> None:
        self.band = band
        event = band.event
        self.tenor: Service[None] = Service(f"tenor{band.number}", owner="team-choir", tables=tables)

        @self.tenor.handler
        async def note(sung: event, tx: Tx) -> None:  # type: ignore[valid-type]
            await (await tx.db()).execute(insert(noted).values(number=sung.number))  # type: ignore[attr-defined]

    @property
    def key(self) -> str:
        """The routing key that both hear."""
        return f"note{self.band.number}.sung.v1"

    @property
    def queue(self) -> str:
        """Where tenor hears."""
        return f"{self.tenor.name}.note"

    async def noted(self) -> Counter[int]:
        """How often tenor wrote down each note."""
        async with self.band.workers[self.tenor.name].runtime.store.read() as db:
            return Counter(row.number for row in await db.execute(select(noted.c.number)))

    async def all_once(self, count: int) -> None:
        """Return when both have written down each note; none stands twice, then nor a while later."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while len(await self.band.heard()) < count or len(await self.noted()) < count:
            found = (len(await self.band.heard()), len(await self.noted()))
            assert asyncio.get_running_loop().time() < end, (
                f"{found} of {count}; {self.band.reasons()}; {self.band.notes.troubles}"
            )
            await asyncio.sleep(0.05)
        await self.band.until(lambda: all(each.idle() for each in self.band.workers.values()))
        assert await self.band.heard() == Counter(range(count))
        assert await self.noted() == Counter(range(count))


@pytest.fixture
async def trio(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Trio]:
    """All three, ready."""
    async with choir(rabbitmq, broker_url, tmp_path) as band:
        made = Trio(band)
        await band.start(made.tenor)
        await band.ready()
        yield made


Delete = Callable[[aio_pika.abc.AbstractChannel, Trio], Awaitable[object]]


async def _unbind(channel: aio_pika.abc.AbstractChannel, trio: Trio) -> None:
    queue = await channel.get_queue(trio.queue, ensure=False)
    await queue.unbind(HEARD, trio.key)


async def _unlink(channel: aio_pika.abc.AbstractChannel, _: Trio) -> None:
    heard = await channel.get_exchange(HEARD, ensure=False)
    await heard.unbind(EVENTS, "#")


async def _heard_and_unheard(channel: aio_pika.abc.AbstractChannel, _: Trio) -> None:
    await channel.queue_delete(UNHEARD)
    await channel.exchange_delete(UNHEARD)
    await channel.exchange_delete(HEARD)


async def _everything_but_the_log(channel: aio_pika.abc.AbstractChannel, trio: Trio) -> None:
    await channel.exchange_delete(EVENTS)
    await channel.exchange_delete(HEARD)
    await channel.exchange_delete(trio.tenor.name)


DELETIONS: dict[str, Delete] = {
    "heard": lambda channel, _: channel.exchange_delete(HEARD),
    "one binding of two": _unbind,
    "events to heard": _unlink,
    "heard and unheard": _heard_and_unheard,
    "events and heard": _everything_but_the_log,
    "an empty queue": lambda channel, trio: channel.queue_delete(trio.queue),
}


@pytest.mark.parametrize("what", DELETIONS)
async def test_what_is_said_meanwhile_arrives_once(trio: Trio, what: str) -> None:
    """RULES 4.8: 30 of 30 events reach both handlers, once, within seconds, without anybody's help."""
    band = trio.band
    await band.sing(0, 5)
    await trio.all_once(5)
    async with band.admin() as channel:
        await DELETIONS[what](channel, trio)
    for number in range(5, 5 + SAID, 3):
        await band.sing(number, 3)
        await asyncio.sleep(0.05)
    await trio.all_once(5 + SAID)
    await band.ready()
    await band.sing(5 + SAID, 5)
    await trio.all_once(5 + SAID + 5)


async def test_a_removed_binding_is_said(trio: Trio) -> None:
    """RULES 4.8: the log names the queue, and how many events were taken from `hocket.log`."""
    await trio.band.sing(0, 2)
    await trio.band.until(lambda: trio.band.workers[trio.tenor.name].log_check.compared >= 2)
    async with trio.band.admin() as channel:
        await _unbind(channel, trio)
    await trio.band.sing(2, 3)
    await trio.all_once(5)
    said = [each for each in trio.band.notes.troubles if each.startswith("events had not reached their queue")]
    assert said
    assert trio.queue in said[0]


async def test_what_was_said_while_a_hearer_was_down_and_unbound_is_taken_at_its_start(trio: Trio) -> None:
    """RULES 4.8: the place up to which the log was compared is stored, so a start goes on there."""
    band = trio.band
    await band.sing(0, 3)
    await trio.all_once(3)
    await band.until(lambda: band.workers[trio.tenor.name].log_check.compared >= 3)
    await band.workers.pop(trio.tenor.name).stop()
    async with band.admin() as channel:
        await _unbind(channel, trio)
    await band.sing(3, 10)
    await band.once(13)
    await band.start(trio.tenor)
    await trio.all_once(13)


async def test_a_log_that_is_made_anew_is_read_from_its_start(trio: Trio) -> None:
    """RULES 4.8, 7.3: offsets begin again at 0; a binding that is removed later is still noticed."""
    band = trio.band
    await band.sing(0, 20)
    await trio.all_once(20)
    async with band.admin() as channel:
        await channel.queue_delete(LOG)
        await band.workers[trio.tenor.name].log_check.declare()  # what is said without a log and a binding is nowhere
        await band.sing(20, 1)
        await trio.all_once(21)
        await _unbind(channel, trio)
    await band.sing(21, 5)
    await trio.all_once(26)


async def test_a_log_that_is_made_anew_and_as_long_as_before_is_read_from_its_start(trio: Trio) -> None:
    """RULES 4.8, 7.3: that it is another log is told by the message that was read last, not by its length."""
    band = trio.band
    await band.sing(0, 3)
    await trio.all_once(3)
    await band.until(lambda: band.workers[trio.tenor.name].log_check.compared >= 3)
    compared = band.workers[trio.tenor.name].log_check.compared
    await band.workers.pop(trio.tenor.name).stop()
    async with band.admin() as channel:
        await _unbind(channel, trio)
        await channel.queue_delete(LOG)
    await band.workers[band.lead.name].log_check.declare()
    await band.sing(3, compared + 10)
    await band.once(compared + 13)
    await band.start(trio.tenor)
    await trio.all_once(compared + 13)
