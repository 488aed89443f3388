"""Reads the log for one subscription, from where its row stands up to the marker (RULES 7.5)."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from hocket.broker.port import Delivery, Handle
from hocket.broker.topology import LOG, routing_key
from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import TransportError
from hocket.runtime import Runtime
from hocket.store.records import Offset
from hocket.streams.backfill.history_consumer import HistoryConsumer
from hocket.streams.backfill.marker import is_marker, mark_log
from hocket.streams.backfill.pace import LOOK_SECONDS, Pace
from hocket.streams.backfill.progress import Progress
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import MOST_LETTERS, Backfill, Phase, broken, compare, cut_over, read_to, shorter
from hocket.streams.backfill.window import Window
from hocket.streams.end import end_of
from hocket.streams.first import first_of
from hocket.streams.gap import Kind, mark_of
from hocket.streams.log_place import token_of

#: Messages of the log that the broker sends ahead; heard ones between the lowest that is not finished and the last that
#: was taken, which is also how many a crash may have begun; and all messages there.
PREFETCH, MOST_HEARD, MOST_MESSAGES = 1024, 1024, 100_000
#: Seconds between two writes of the place; between two markers while none has come, and where one was not taken.
SAVE_SECONDS, MARK_SECONDS, TRY_SECONDS = 1.0, 60.0, 5.0
#: Seconds without a message after which the log is asked for its end, and between two looks while there is nothing.
SILENT_SECONDS, IDLE_SECONDS = 10.0, 1.0


class Overtaken(Exception):
    """Another process, or a person, has changed the row: it is read again."""


@dataclass(slots=True)
class Reading:
    """One reading of the log, by the process that holds the row. `live_waits` says that there is live work."""

    runtime: Runtime
    runner: SubscriptionRunner
    rows: BackfillRows
    history: HistoryConsumer
    progress: Progress
    bound: float  # when the queue was bound, in monotonic seconds
    live_waits: Callable[[], bool]
    patrol: str  # the reader's name of the patrol
    row: Backfill
    resumed: bool  # another process may have begun what is read first
    letters: int = 0  # that were not written into the row yet
    _buffer: deque[Delivery] = field(default_factory=deque)
    _window: Window = field(init=False)
    _keys: frozenset[str] = field(init=False)
    _pace: Pace = field(default_factory=Pace)
    _suspects: int = 0
    _compared: bool = False
    _jumped: Delivery | None = None  # it stands behind what was to come next
    _asked: float = 0.0
    _saved: float = 0.0
    _said: float | None = None
    _marker: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        self._keys = frozenset(routing_key(*name) for name in self.runner.subscription.bound)
        self._window = Window(self.row.next, self.row.mark)

    async def run(self, moved: Callable[[Backfill], None]) -> None:
        """Read until the row is not `reading` any more, or the connection was lost; then it is opened again.

        `moved` is told each change of the row. Raises `Overtaken`, `StoreError` or `TransportError`.
        """
        self.history.opened(self._window)
        await self.runner.open_history(self.history)
        await self._write(self.row)  # whoever has taken it meanwhile is let alone
        self._suspects = MOST_HEARD if self.resumed else 0
        self._saved = self._asked = self.runtime.clock.monotonic()
        consume = self.runtime.transport.consume
        consumer = await consume(LOG, prefetch=PREFETCH, deliver=self._deliver, offset=self.row.here)
        epoch = consumer.epoch
        try:
            while consumer.epoch == epoch and not self.history.stopped and not self.history.to_renew:
                self.history.changed.clear()
                consumer.ack(self._feed())
                over = await self._ended()
                moved(self.row)
                if over:
                    return
                await self._pause()
        finally:
            self.runner.close_history()
            self.history.opened(Window(self.row.next, self.row.mark))  # what is in hand is read again
            await consumer.close()

    def _deliver(self, delivery: Delivery) -> None:
        self._buffer.append(delivery)
        self.history.changed.set()

    # -- feeding --------------------------------------------------------------------------------------------------

    def _feed(self) -> list[Handle]:
        """Give the runner as much as it may have; what is taken off the buffer, for the broker to send more."""
        taken: list[Handle] = []
        while self._buffer and self._marker is None and self._jumped is None and self._may_feed():
            delivery = self._buffer[0]
            offset = delivery.offset or 0
            if not self._compared or offset > self._window.next:
                self._jumped = delivery
                break
            taken.append(self._buffer.popleft().handle)
            if offset >= self._window.next:
                self._take(delivery, offset)
        return taken

    def _take(self, delivery: Delivery, offset: int) -> None:
        mark = mark_of(delivery)
        if is_marker(delivery, self.row):
            self._marker = offset, mark
            return
        heard = delivery.routing_key in self._keys
        self._window.take(offset, mark, heard=heard)
        if heard:
            self.runner.intake.deliver(self.history.delivery(delivery, suspect=self._suspects > 0))
            self._pace.fed(offset, self.runtime.clock.monotonic(), self._window.open)
            self._suspects -= 1

    def _may_feed(self) -> bool:
        most = min(self._pace.width, MOST_LETTERS - self.row.letters - self.letters)  # each may become one
        if self.history.most is not None:
            most = min(most, self.history.most)
        if self._window.open >= most or self._window.heard >= MOST_HEARD or len(self._window) >= MOST_MESSAGES:
            return False
        return not self.runner.intake.over and not self.history.stopped

    async def _pause(self) -> None:
        """Until something was finished or has come, or the next look is due."""
        now = self.runtime.clock.monotonic()
        self._pace.ended(self._window.low, now)
        self._pace.look(now, live=self.live_waits(), hurry=self.progress.hurry)
        busy = self._buffer or self._window.open or self._marker is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS if busy else IDLE_SECONDS):
                await self.history.changed.wait()

    # -- ending ---------------------------------------------------------------------------------------------------

    async def _ended(self) -> bool:
        """Compare, write, mark; whether the reading is over."""
        if self._jumped is not None and not await self._same(self._jumped):
            return True
        self._jumped = None
        now = self.runtime.clock.monotonic()
        if not self._compared and not self._buffer and now - self._asked >= SILENT_SECONDS:
            self._asked = now
            if shorter(self.row, await end_of(self.runtime.transport, LOG)):
                return await self._write(broken(self.row, compare(self.row, -1, "")))
        if self._marker is not None and not self._window.open:
            return await self._cut_over(*self._marker)
        if now - self._saved >= SAVE_SECONDS or self.row.letters + self.letters >= MOST_LETTERS:
            self._saved = now
            if await self._write(self._read()) and self.row.phase is not Phase.READING:
                return True
            await self.progress.look(self.row)
        if self._marker is None and now - self.bound >= self.runtime.config.backfill_marker_seconds:
            await self._mark(now)
        return False

    async def _same(self, first: Delivery) -> bool:
        """RULES 7.5 d: compare what comes first; behind a jump, whether retention has cut what was to come."""
        offset = first.offset or 0
        if not self._compared:
            found = compare(self.row, offset, mark_of(first))
            if found.kind is Kind.SAME:
                self._compared = True
                return True
        else:
            kept = await first_of(self.runtime.transport, LOG)
            if kept is not None and (kept.offset or 0) <= self._window.next:
                self._window.skip_to(offset)  # the broker has put something of its own between
                return True
            found = compare(self.row._replace(next=self._window.next, mark="", anchor=""), offset, "")
        await self._write(broken(self._read(), found))
        return False

    def _read(self) -> Backfill:
        return read_to(self.row, self._window.low, self._window.mark, self._window.taken_off(), self._letters())

    def _letters(self) -> int:
        letters, self.letters = self.letters, 0
        return letters

    async def _mark(self, now: float) -> None:
        if self._said is not None and now - self._said < (TRY_SECONDS if self.progress.trouble else MARK_SECONDS):
            return
        self._said = now
        try:
            await mark_log(self.runtime, self.row, self.runtime.transport)
            self.progress.trouble = ""
        except TransportError as error:
            if str(error) != self.progress.trouble:
                self.runtime.trouble("the log could not be marked", reason=str(error))
            self.progress.trouble = str(error)

    async def _cut_over(self, offset: int, mark: str) -> bool:
        """The transaction that folds the marker makes it live, and says where the patrol begins (RULES 7.5 b, e)."""
        until = (await self.runtime.store.clock.time()).now + self.runtime.config.backfill_patrol_seconds
        to = self._read()
        if to.phase is Phase.READING:
            to = cut_over(to, offset, mark, until)
        boot = self.runtime.instance.boot
        begins = (self.patrol, Offset(to.next, token_of(boot, offset, mark))) if to.phase is Phase.LIVE else None
        return await self._write(to, begins)

    async def _write(self, to: Backfill, place: tuple[str, Offset] | None = None) -> bool:
        if to == self.row:
            same = await self.rows.of(self.row.subscription) == self.row
        else:
            same = await self.rows.write(self.row, to, place)
        if not same:
            raise Overtaken
        self.row = to
        return True
