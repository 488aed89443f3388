"""Stands between the log's reader and a subscription's runner: history is settled here, one epoch for each opening."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hocket.broker.port import Delivery, Handle
from hocket.streams.backfill.window import Window


@dataclass(slots=True)
class HistoryConsumer:
    """A `Consumer` whose handles are offsets of the log. What belongs to an earlier opening is ignored."""

    queue: str  # the name under which its deliveries go
    epoch: int = 0
    stopped: bool = False
    to_renew: bool = False  # who works on it wants what is not finished once more
    most: int | None = None  # what a breaker that is not closed leaves; None: no limit
    window: Window = field(default_factory=lambda: Window(0, ""))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def opened(self, window: Window) -> None:
        """The log was opened again at the window's place."""
        self.epoch += 1
        self.window = window
        self.to_renew = False

    def delivery(self, delivery: Delivery, *, suspect: bool) -> Delivery:
        """A message of the log as the runner gets it; a `suspect` may have been begun by another process."""
        handle = Handle(self.epoch, delivery.offset or 0)
        return delivery._replace(queue=self.queue, handle=handle, redelivered=suspect)

    def ack(self, handles: Sequence[Handle]) -> None:
        """These are committed."""
        for each in handles:
            if each.epoch == self.epoch:
                self.window.finished(each.tag)
        self.changed.set()

    def give_back(self, handles: Sequence[Handle]) -> None:
        """These were not begun: they are not finished, and are read again from where the reading goes on."""

    def limit(self, prefetch: int) -> None:
        """At most so many in hand."""
        self.most = prefetch

    async def known(self) -> bool:
        """The reader notices the loss of its channel itself."""
        return True

    async def renew(self) -> None:
        """The reader opens the log again."""
        self.to_renew = True
        self.changed.set()

    async def cancel(self) -> None:
        """Nothing more is delivered."""
        self.stopped = True

    async def close(self) -> None:
        """Nothing to do: the reader closes what it has opened."""
