"""Station commit: everything that finished meanwhile in one transaction; a failure is committed like a success."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.ending.error_text import clean, text_of
from hocket.delivery.record import Recorder
from hocket.errors import StoreError
from hocket.outcome import Again, Bury, Done, GiveBack, Seen
from hocket.runtime import Runtime
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Ending, InboxRow, InboxState, OutboxRow, Written

PROMISE = "everything that finished meanwhile in one transaction; a failure is committed like a success"

#: Seconds from the end of one commit to the begin of the next, unless a whole group waits; after a pause there is none.
PACE = 0.002
#: The same where all who wait returned nothing: only the broker waits for them.
SILENT_PACE = 0.01
#: Seconds between tries while the store fails: doubled from the first to the longest.
STORE_FIRST_WAIT = 0.1
STORE_LONGEST_WAIT = 5.0
#: Times that one delivery alone may fail in the store while an empty write succeeds: then it is to blame (RULES 3.2).
ALONE = 3
#: How often one arrival's ending may be made smaller before it is given back.
MOST_BLAMES = 2
#: Seconds after which an arrival whose key another transaction holds is committed again, apart (RULES 3.3).
BLOCKED_WAIT = 0.25


@dataclass(slots=True)
class Committer:
    """The group commit of one service; `won` and `lost` are told what became of each arrival."""

    runtime: Runtime
    recorder: Recorder
    won: Callable[[Sequence[Arrival], Sequence[OutboxRow]], None]
    lost: Callable[[Arrival], None]
    unknown: Callable[[], None]  # a commit may have happened or not (RULES 3.2)
    most: int = field(init=False)  # attempts in one transaction
    failing: str = ""  # why the store does not answer, "" where it does
    _pending: deque[Arrival] = field(default_factory=deque)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)  # a whole group waits, or somebody who says something
    _silent: bool = True
    _ended: float = 0.0  # when the last commit ended (monotonic seconds)
    _busy: int = 0
    _wait: float = STORE_FIRST_WAIT
    _suspected: bool = False
    _apart: int = 0

    def __post_init__(self) -> None:
        self.most = self.runtime.config.commit_rows

    def submit(self, arrival: Arrival) -> None:
        """Commit this arrival's outcome with the next group."""
        self._pending.append(arrival)
        self._some.set()
        speaks = not isinstance(arrival.outcome, Done) or bool(arrival.outcome.said)
        if len(self._pending) >= self.most or (speaks and self._silent):
            self._hurry.set()
        self._silent = self._silent and not speaks

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit."""
        return not (self._pending or self._busy or self._suspected or self._apart)

    async def run(self) -> None:
        """Commit group after group, for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._pending or self._suspected:
                if self._suspected:
                    await self._recover()
                    continue
                await self._pace()
                group = self._group()
                self._busy = len(group)
                await self._commit(group)
                self._busy, self._ended = 0, self.runtime.clock.monotonic()

    async def _pace(self) -> None:
        """Let a group gather while commits follow each other: each costs a sync of the disk and a row of receipts."""
        while len(self._pending) < self.most:
            wait = self._ended + (SILENT_PACE if self._silent else PACE) - self.runtime.clock.monotonic()
            if wait <= 0:
                return
            self._hurry.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._hurry.wait()

    def suspect(self, reason: str) -> None:
        """The store failed somebody else, perhaps after a commit: intake pauses until it takes a write (RULES 3.2)."""
        self.failing = reason
        self._suspected = True
        self.unknown()
        self._some.set()

    async def _recover(self) -> None:
        await asyncio.sleep(self._wait)
        self._wait = min(self._wait * 2, STORE_LONGEST_WAIT)
        self._suspected = False
        if await self._takes_a_write():
            self.failing = ""
        else:
            self._suspected = True

    async def _takes_a_write(self) -> bool:
        try:
            await self.runtime.store.commit([])
        except StoreError:
            return False
        return True

    def _group(self) -> list[Arrival]:
        """The next arrivals, no step run and no key twice: what is decided second must see what was written first."""
        group: list[Arrival] = []
        taken: set[str | bytes] = set()
        later: list[Arrival] = []
        while self._pending and len(group) < self.most:
            each = self._pending.popleft()
            if (each.key and each.key in taken) or (each.run and each.run in taken):
                later.append(each)
                continue
            taken.update((each.key, each.run))
            group.append(each)
        self._pending.extendleft(reversed(later))
        self._silent = not self._pending
        return group

    async def _commit(self, group: list[Arrival]) -> None:
        wait = STORE_FIRST_WAIT
        failures = 0
        while group:
            try:
                self._tell(group, await self._write(group))
                if not self._suspected:
                    self.failing, self._wait = "", STORE_FIRST_WAIT
                return
            except StoreError as error:
                self.failing = str(error)
                self.unknown()
                self.runtime.signals.trouble(self.runtime.service, "the store does not answer", reason=str(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, STORE_LONGEST_WAIT)
                if not await self._takes_a_write():
                    failures = 0
                    continue
                failures += 1
                if len(group) == 1 and failures >= ALONE:
                    self._blame(group[0], error)
                    failures = 0
                group = await self._open(group)
                if len(group) > 1:
                    await self._one_by_one(group)
                    return
            except Exception as error:  # noqa: BLE001 -- one bad neighbour must not take the others along
                if len(group) > 1:
                    await self._one_by_one(group)
                    return
                self._blame(group[0], error)

    async def _one_by_one(self, group: Sequence[Arrival]) -> None:
        for each in group:
            await self._commit([each])

    async def _open(self, group: list[Arrival]) -> list[Arrival]:
        """Those that the commit of unknown outcome did not end; the others are looked up again (RULES 3.2)."""
        try:
            rows = await self.runtime.store.inbox([each.key for each in group if each.key])
        except StoreError:
            return group
        left: list[Arrival] = []
        for each in group:
            if _ended(each, rows.get(each.key)):
                self.lost(each)
            else:
                left.append(each)
        if not left:
            self.failing = ""
        return left

    def _blame(self, arrival: Arrival, error: Exception) -> None:
        """An error that repeats when committed alone is that delivery's own failed attempt (RULES 3.2).

        Where that cannot be written either it is buried, then buried with the little that is known, and at last given
        back, so that the broker's delivery limit ends it: each blame is a step down, none is taken twice.
        """
        service = self.runtime.service
        self.runtime.signals.trouble(service, "an attempt cannot be written", error=text_of(error))
        arrival.blamed += 1
        if isinstance(arrival.outcome, GiveBack):
            raise error
        if not isinstance(arrival.outcome, Done | Again | Bury) or arrival.blamed > MOST_BLAMES:
            arrival.outcome, arrival.marked = GiveBack(), False
            return
        if arrival.blamed > 1 or isinstance(arrival.outcome, Bury):
            arrival.blamed = MOST_BLAMES
            arrival.outcome = Bury("unwritable", clean(type(error).__name__), row=False)
            return
        arrival.outcome = decide.failed(
            error,
            retry=arrival.subscription.retry,
            used=arrival.used,
            now=self.runtime.clock.now(),
            chance=self.runtime.chance,
            free=None,
        )

    async def _write(self, group: Sequence[Arrival]) -> list[tuple[Written, bool]]:
        if not any(_needs_ledger(each) for each in group):
            endings = [self._ending(each, None) for each in group]
            written = await self.runtime.store.commit([ending for ending, _ in endings])
        else:
            async with self.runtime.store.transaction() as tx:
                rows = await tx.ledger([each.run for each in group if _needs_ledger(each)])
                endings = [self._ending(each, rows.get(each.run)) for each in group]
                written = await tx.write([ending for ending, _ in endings])
        return [(one, owned) for one, (_, owned) in zip(written, endings, strict=True)]

    def _ending(self, arrival: Arrival, ledger: LedgerRow | None) -> tuple[Ending, bool]:
        if arrival.fenced:
            return self.recorder.fence(arrival, ledger), False
        try:
            ending, owned = self.recorder.ending(arrival, ledger)
        except Exception as error:  # noqa: BLE001 -- what it said must not leave: that delivery's failed attempt
            self._blame(arrival, error)
            ending, owned = self.recorder.ending(arrival, ledger)
        shed = bool(ending.receipt) and self.recorder.shed()
        return (ending._replace(receipt=b"") if shed else ending), owned

    def _tell(self, group: Sequence[Arrival], written: Sequence[tuple[Written, bool]]) -> None:
        rows: list[OutboxRow] = []
        winners: list[Arrival] = []
        for arrival, (one, owned) in zip(group, written, strict=True):
            rows.extend(one.outbox)
            if one.blocked:
                self._apart += 1
                asyncio.get_running_loop().call_later(BLOCKED_WAIT, self._again, arrival)
            elif one.won and owned:
                winners.append(arrival)
            else:
                self.lost(arrival)
        self.won(winners, rows)

    def _again(self, arrival: Arrival) -> None:
        self._apart -= 1
        self.submit(arrival)


def _needs_ledger(arrival: Arrival) -> bool:
    return bool(arrival.run) and arrival.role is not Role.EVENT and not isinstance(arrival.outcome, Seen)


def _ended(arrival: Arrival, row: InboxRow | None) -> bool:
    """Whether this very run, or another of the same delivery, stands in the inbox by now."""
    if row is None or row == arrival.row:
        return False
    return row.state is not InboxState.RETRY or row.attempt >= arrival.attempt
