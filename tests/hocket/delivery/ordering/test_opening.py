"""RULES 9.2: what a lane has in hand before it opens."""

from collections.abc import Sequence

from hocket.broker.port import Delivery, Handle
from hocket.delivery.ordering.runner import OrderedRunner
from tests.hocket.delivery.ordering.test_runner import Book, start
from tests.hocket.sample_services import Processes


class KnownConsumer:
    """A consumer that the broker knows."""

    epoch = 1

    async def known(self) -> bool:
        """It does."""
        return True

    async def renew(self) -> None:
        """It has no channel to close."""

    def ack(self, handles: Sequence[Handle]) -> None:
        """Nobody settles."""

    give_back = ack

    def limit(self, prefetch: int) -> None:
        """It has no limit."""

    async def cancel(self) -> None:
        """It has nothing to cancel."""

    close = cancel


async def test_what_gathers_is_in_hand(tower: Processes) -> None:
    """RULES 9.2, 4.8: what waits for its lane is not looked for in the log."""
    worker = await start(tower, Book())
    [runner] = [each for each in worker.runners.values() if isinstance(each, OrderedRunner)]
    delivery = Delivery(runner.subscription.queue, Handle(7, 1), b"", message_id="m-1")
    runner.consumer = KnownConsumer()
    arrival = runner.arrival_of(delivery, worker.runtime.clock.now())
    assert not runner.holds(arrival)
    runner.lane.receive(delivery)
    assert runner.holds(arrival)
