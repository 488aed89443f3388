"""RULES 9.2, 9.11: what a new channel gathers, and a consumer that gets nothing."""

import asyncio
from datetime import timedelta
from typing import Any

from hocket.broker.port import Delivery, Handle
from hocket.delivery.ordering.gather import Gather, in_order, times_returned
from tests.hocket.delivery.ordering.test_runner import Book, hear, start
from tests.hocket.sample_services import Processes


def delivery(tag: int, **headers: int) -> Delivery:
    """A delivery that came back so often."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery("q", Handle(1, tag), b"", headers=named)


def test_what_came_back_most_often_is_first() -> None:
    """RULES 9.2: RabbitMQ 4 counts every hand-over apart; ties stay as they came."""
    came = [delivery(3, x_delivery_count=1), delivery(4, x_delivery_count=1), delivery(1, x_delivery_count=2)]
    assert [each.handle.tag for each in in_order([*came, delivery(5)])] == [1, 3, 4, 5]
    assert times_returned({"x-acquired-count": 3, "x-delivery-count": 1}) == 3
    assert times_returned({"x-delivery-count": "many"}) == 0
    assert times_returned({"x-delivery-count": True}) == 0


def test_a_gather_ends_with_what_never_came_back_or_when_it_is_full() -> None:
    """RULES 9.2: what never came back is delivered behind all that did."""
    gather = Gather(window=3)
    assert [gather.add(delivery(tag, x_delivery_count=1)) for tag in (1, 2, 3)] == [False, False, True]
    assert Gather().add(delivery(1))


async def test_a_wedged_consumer_opens_a_new_channel(tower: Processes) -> None:
    """RULES 9.11: the broker has messages and gives it none."""
    book = Book()
    worker = await start(tower, book)
    runner: Any = worker.runners["rows.ring.ordered"]
    await hear(tower, "1")
    await tower.quiet()
    queue: Any = tower.broker.find("rows.ring.ordered")
    pump, queue.__class__.pump = queue.__class__.pump, lambda self: None  # it gives nothing to anybody
    try:
        await hear(tower, "2")
        before = runner.consumer.epoch
        await asyncio.sleep(200)
        assert runner.consumer.epoch > before
    finally:
        queue.__class__.pump = pump
    await tower.advance(timedelta(seconds=5))
    assert book.handled == ["1", "2"]
