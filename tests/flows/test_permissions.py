"""What RabbitMQ's permissions let a service do, and what they stop: real users on a real node (docs/security.md)."""

from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelClosed
from yarl import URL

from deploy.broker.node import RabbitNode
from hocket.broker.port import Delivery
from hocket.broker.topology import DEAD, EVENTS, HEARD
from hocket.envelope.cloudevent import CONTENT_TYPE, Envelope, encode
from tests.flows.two_services import Choir, choir

WORD = "word"


@pytest.fixture
async def band(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Choir]:
    """Both services, ready: every object stands."""
    async with choir(rabbitmq, broker_url, tmp_path) as made:
        yield made


async def least(band: Choir, service: str) -> str:
    """A user with the least rights that docs/security.md names for a service; its address."""
    user = f"{service}-user"
    await band.ctl("add_user", user, WORD)
    writes = rf"^(hocket\.(events|receipts|dead)|{service})$"
    reads = rf"^(hocket\.log|{service}\..*)$"
    await band.ctl("set_permissions", "-p", band.vhost, user, "^$", writes, reads)
    await band.ctl("set_topic_permissions", "-p", band.vhost, user, EVENTS, rf"^note{band.number}\..*", ".*")
    return band.url_of(user, WORD)


async def test_without_the_right_to_configure_a_service_works_where_all_stands(band: Choir) -> None:
    """docs/security.md: it looks for what it may not declare, starts, hears, says and reports."""
    urls = {each.name: await least(band, each.name) for each in (band.alto, band.lead)}
    for service in (band.alto, band.lead):
        await band.workers.pop(service.name).stop()
        await band.start(service, url=urls[service.name])
    await band.ready()
    await band.sing(0, 5)
    await band.once(5)
    assert band.notes.troubles == []


async def test_what_is_missing_and_may_not_be_declared_is_named(band: Choir) -> None:
    """The sentence says which object is missing, and who can make it."""
    url = await least(band, band.alto.name)
    await band.workers.pop(band.alto.name).stop()
    async with band.admin() as channel:
        await channel.queue_delete(band.queue)
    worker = await band.start(band.alto, url=url)
    await band.until(lambda: worker.runtime.tasks.failed or worker.health())
    await band.until(lambda: any(band.queue in each and "hocket topology" in each for each in worker.health()))
    band.workers.pop(band.alto.name)
    await worker.stop()


async def test_topic_permissions_tie_a_user_to_its_events(band: Choir) -> None:
    """Another routing key is refused, and `hocket.heard`, which would go round that, cannot be written to."""
    url = await least(band, band.lead.name)
    own = f"note{band.number}.sung.v1"
    for exchange, key, allowed in ((EVENTS, own, True), (EVENTS, "other.said.v1", False), (HEARD, own, False)):
        connection = await aio_pika.connect(URL(url))
        async with connection:
            channel = await connection.channel()
            target = await channel.get_exchange(exchange, ensure=False)
            if allowed:
                await target.publish(aio_pika.Message(b"{}"), key)
                continue
            with pytest.raises((ChannelAccessRefused, ChannelClosed)):
                await target.publish(aio_pika.Message(b"{}"), key)


async def test_a_body_of_another_type_than_its_routing_key_is_a_letter(band: Choir) -> None:
    """docs/security.md: who may say only its own routing keys cannot say another type under them."""
    letters: list[Delivery] = []
    transport = band.workers[band.lead.name].runtime.transport
    consumer = await transport.consume(DEAD, prefetch=10, deliver=letters.append)
    known = band.workers[band.lead.name].runtime
    envelope = Envelope(
        id="x", source=f"/{band.lead.name}", type="stock.rejected", version=1, subject="note/1",
        time=known.clock.now(), correlation_id="c", idempotency_key="k", data={"number": 1},
    )  # fmt: skip
    async with band.admin() as channel:
        events = await channel.get_exchange(EVENTS, ensure=False)
        message = aio_pika.Message(encode(envelope), content_type=CONTENT_TYPE)
        await events.publish(message, f"note{band.number}.sung.v1")
    await band.until(lambda: any(each.routing_key == band.queue for each in letters))
    own = [each for each in letters if each.routing_key == band.queue]
    assert own[0].headers["hocket-death-cause"] == "misrouted"
    assert "stock.rejected" in str(own[0].headers["hocket-death-error"])
    assert await band.heard() == {}
    consumer.ack([each.handle for each in letters])
    await consumer.close()
