"""The backlog of the outbox: which rows are in memory, which only in the store; deletes confirmed ones (RULES 4.6).

A row comes into memory right after its commit. Rows that do not fit, rows of an earlier process and rows that were due
later are claimed from the store. A confirmed row is deleted from the store, many in one transaction.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from hocket.errors import StoreError
from hocket.outbox.batcher import Batcher
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow, RowKind, Waiting, joined_receipts

#: Seconds for which confirmed rows wait for each other, and rows that one transaction deletes.
FORGET_LINGER, FORGET_ROWS = 0.25, 512
#: Waits between tries while the store fails.
WRITE_BACKOFF = Backoff(first=1.0, longest=1.0)
#: Seconds before the next claim where the store may hold more rows that are due.
MORE_SECONDS = 0.001
#: Rows that count against the bound of events.
COUNTED = (RowKind.EVENT, RowKind.SCHEDULED)


@dataclass(slots=True)
class Backlog:
    """The rows of one service that wait to be published.

    The relay takes rows from `ready`, in order, and adds the ids of confirmed rows to `confirmed`. `some` is set when
    rows may be ready, `changed` when `idle` may have become true.
    """

    runtime: Runtime
    ready: deque[OutboxRow] = field(default_factory=deque)
    confirmed: Batcher[int] = field(init=False)
    some: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _receipts: Batcher[OutboxRow] = field(init=False)
    _in_memory: dict[int, RowKind] = field(default_factory=dict)
    _deletions: deque[Sequence[int]] = field(default_factory=deque)
    _deletion_due: asyncio.Event = field(default_factory=asyncio.Event)
    _claim_due: asyncio.Event = field(default_factory=asyncio.Event)
    _claiming: bool = False
    _fetching: bool = False
    _incomplete: bool = True  # the store may hold rows of ours that are not in memory
    _fetch_after: int = 0  # the id behind which these rows begin
    _events: int = 0  # counted in memory
    _receipt_count: int = 0
    _stored: Waiting = field(default_factory=Waiting)  # counted by the store, and what was left there since
    _memory_rows: int = field(init=False)  # kept in memory; more wait in the store
    _max_events: int = field(init=False)  # due and unconfirmed: intake pauses and HTTP answers 503 (RULES 4.6)
    _max_receipts: int = field(init=False)  # further ones are shed and counted as a gap (RULES 4.6)

    def __post_init__(self) -> None:
        config = self.runtime.config
        self._memory_rows = config.outbox_memory_rows
        self._max_events, self._max_receipts = config.outbox_max_events, config.outbox_max_receipts
        self._receipts = Batcher(config.receipt_linger_seconds, config.outbox_batch, self._join)
        self.confirmed = Batcher(FORGET_LINGER, min(FORGET_ROWS, -(-self._memory_rows // 4)), self._delete_soon)

    async def start(self) -> None:
        """Take over what earlier processes left, then claim and delete in the background."""
        await self.runtime.store.take_over()
        self.runtime.tasks.spawn("relay deletes", self._delete_forever())
        self.runtime.tasks.spawn("relay claims", self._claim_forever())

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that were just committed, in order; what waits stays in the store. No clock is asked (RULES 4.1)."""
        for row in rows:
            if (row.wait or row.kind is RowKind.SCHEDULED) and row.later:  # few are: the first look is the quick one
                self._claim_due.set()
            elif self._incomplete or self._fetching or len(self._in_memory) >= self._memory_rows:
                self._leave_in_store(row)
            else:
                self._keep(row)
        if self.ready:
            self.some.set()

    def add_unstored(self, row: OutboxRow) -> bool:
        """A row that the store does not hold; False where memory is full, and then the row is dropped."""
        if len(self.ready) >= self._memory_rows:
            return False
        self.ready.append(row)
        self.some.set()
        return True

    def enqueue(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that are in memory already and may be published, behind all others."""
        self.ready.extend(rows)
        self.some.set()

    def fetch_all(self) -> None:
        """The outcome of a commit is unknown: the store may hold rows that were never added, so look at every row."""
        self._fetch_from(0)

    def claim_now(self) -> None:
        """Claim the rows that are due now, without waiting for the next look (RULES 3.5)."""
        self._claim_due.set()

    def set_stored(self, waiting: Waiting) -> None:
        """How many rows the store has just counted, those included that are not in memory."""
        self._stored = waiting

    @property
    def full(self) -> bool:
        """Whether as many due events wait as the bound allows."""
        return max(self._events, self._stored.events) >= self._max_events

    def full_with(self, more: int) -> bool:
        """Whether the bound is reached with so many others that count to it (RULES 12.2)."""
        return max(self._events, self._stored.events) + more >= self._max_events

    @property
    def receipts_full(self) -> bool:
        """Whether receipts are to be shed."""
        return max(self._receipt_count, self._stored.receipts) >= self._max_receipts

    @property
    def idle(self) -> bool:
        """Whether no row is ready, waits to be deleted, or may be missing in memory."""
        rows = self.ready or self._receipts or self.confirmed or self._deletions
        return not (rows or self._incomplete or self._claiming)

    def flush(self) -> None:
        """Publish and delete what waits for more of its kind."""
        self._receipts.flush()
        self.confirmed.flush()

    async def refuse(self, row: OutboxRow, reason: str) -> None:
        """Set a row aside that the broker refuses permanently; it is not published again."""
        for id in row.ids:
            await self._until_stored(partial(self.runtime.store.refuse, id, reason))
        self._drop(row.ids)

    def _keep(self, row: OutboxRow) -> None:
        if row.id in self._in_memory:
            return
        self._in_memory[row.id] = row.kind
        self._count(row.kind, 1)
        if row.kind is RowKind.RECEIPT:
            self._receipts.add(row)
        else:
            self.ready.append(row)

    def _join(self, rows: Sequence[OutboxRow]) -> None:
        """Receipts that waited for each other leave as one message."""
        self.enqueue(joined_receipts(rows))

    def _leave_in_store(self, row: OutboxRow) -> None:
        """Memory is full: the row is claimed from the store when there is room."""
        self._fetch_from(row.id - 1)
        stored, event, receipt = self._stored, row.kind in COUNTED, row.kind is RowKind.RECEIPT
        events = max(self._events, stored.events) + event
        receipts = max(self._receipt_count, stored.receipts) + receipt
        self._stored = stored._replace(events=events, receipts=receipts)

    def _fetch_from(self, id: int) -> None:
        """Rows behind this id are in the store and may not be in memory."""
        self._fetch_after = min(self._fetch_after, id) if self._incomplete else id
        self._incomplete = True
        self._claim_due.set()

    def _count(self, kind: RowKind, by: int) -> None:
        if kind is RowKind.RECEIPT:
            self._receipt_count += by
        elif kind in COUNTED:
            self._events += by

    def _drop(self, ids: Iterable[int]) -> None:
        for id in ids:
            if (kind := self._in_memory.pop(id, None)) is not None:
                self._count(kind, -1)

    def _delete_soon(self, ids: Sequence[int]) -> None:
        self._deletions.append(ids)
        self._deletion_due.set()

    async def _delete_forever(self) -> None:
        while True:
            await self._deletion_due.wait()
            self._deletion_due.clear()
            while self._deletions:
                await self._delete(self._deletions[0])
                self._deletions.popleft()
                self.changed.set()

    async def _delete(self, ids: Sequence[int]) -> None:
        await self._until_stored(lambda: self.runtime.store.forget(ids))
        self._drop(ids)
        if self._incomplete and len(self._in_memory) < self._memory_rows // 2:
            self._claim_due.set()

    async def _until_stored(self, write: Callable[[], Awaitable[None]]) -> None:
        await until_done(write, WRITE_BACKOFF, self.runtime.chance, on=StoreError)

    async def _claim_forever(self) -> None:
        """Claim rows that have become due, and rows that memory lacks."""
        look = self.runtime.config.outbox_look_seconds
        while True:
            self._claim_due.clear()
            self._claiming = True
            try:
                wait = await self._claim()
            except StoreError:  # do not wait for `_claim_due`: the claim that failed has just set it again
                await asyncio.sleep(WRITE_BACKOFF.first)
                wait = 0.0
            self._claiming = False
            self.changed.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look if wait is None else min(wait, look)):
                    await self._claim_due.wait()

    async def _claim(self) -> float | None:
        """Claim once; the seconds until there may be more, None: wait for `_claim_due`."""
        room = self._memory_rows - len(self._in_memory)
        if room <= 0:
            return None
        fetch, self._incomplete = self._incomplete, False
        after, page = self._fetch_after if fetch else None, min(room, self._memory_rows // 4)
        self._fetching = fetch  # rows committed meanwhile come behind the rows that are being fetched
        try:
            rows = await self.runtime.store.due(after, page)
        except StoreError:
            if after is not None:
                self._fetch_from(after)
            raise
        finally:
            self._fetching = False
        for row in rows:
            self._keep(row)
        self.some.set()
        if after is not None and len(rows) >= page:
            self._fetch_from(max(after, *(row.id for row in rows)))
            return MORE_SECONDS
        wait = await self.runtime.store.next_due()
        if self._incomplete:
            return MORE_SECONDS
        return None if wait is None else max(wait, MORE_SECONDS)
