"""Station commit: everything that finished meanwhile in one transaction; a failure is committed like a success.

It tries again until the store answers.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.ending.error_text import clean, text_of
from hocket.delivery.record import Recorder
from hocket.errors import StoreError
from hocket.masking.mask import ALWAYS
from hocket.outcome import Again, Bury, Done, GiveBack
from hocket.runtime import Runtime
from hocket.saga.ledger import LedgerRow
from hocket.store.group_commit import STORE_BACKOFF, GroupCommit, takes_a_write
from hocket.store.records import Ending, InboxRow, InboxState, OutboxRow, Written

PROMISE = "everything that finished meanwhile in one transaction; a failure is committed like a success"

#: Seconds: shortest pause between two commits. A full group, or an idle committer, does not wait.
PACE = 0.002
#: The same when no waiting handler said anything, so only the ack is delayed.
SILENT_PACE = 0.01
#: Turns of the event loop without a further arrival after which a group is taken: an attempt that waits for nothing
#: begins in one turn and ends in the next.
IDLE_TURNS = 3
#: How often one arrival's ending may be made smaller before it is given back.
MOST_BLAMES = 2
#: Seconds after which an arrival whose key another transaction holds is committed again with a later group (RULES 3.3).
BLOCKED_WAIT = 0.25


class Committer(GroupCommit[Arrival]):
    """The group commit of one service's deliveries, led by a task of its own.

    `won` and `lost` are told what became of each arrival; `unknown`, that a commit may have happened or not (RULES
    3.2). `free` decides about one that cannot be written: seconds to wait where that uses no attempt, else None.
    `failing` says why the store does not answer, "" where it does.
    """

    def __init__(
        self,
        runtime: Runtime,
        recorder: Recorder,
        *,
        won: Callable[[Sequence[Arrival], Sequence[OutboxRow]], None],
        lost: Callable[[Arrival], None],
        unknown: Callable[[], None],
        free: Callable[[Arrival, Exception], float | None],
    ) -> None:
        super().__init__(runtime.store, runtime.config.commit_attempts)
        self.runtime = runtime
        self.recorder = recorder
        self.won = won
        self.lost = lost
        self.unknown = unknown
        self.free = free
        self.failing = ""
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()  # a whole group waits, or somebody who says something
        self._silent = True
        self._ended = 0.0  # when the last commit ended (monotonic seconds)
        self._busy = False
        self._failed_writes = 0  # since the store was suspected
        self._suspected = False
        self._blocked = 0  # arrivals that wait until another transaction has ended

    def submit(self, arrival: Arrival) -> None:
        """Commit this arrival's outcome with the next group."""
        self._waiting.append(arrival)
        self._some.set()
        speaks = not isinstance(arrival.outcome, Done) or bool(arrival.outcome.said)
        speaks = speaks or (arrival.order is not None and arrival.order.lined())  # others of its subject wait for it
        if len(self._waiting) >= self.most or (speaks and self._silent):
            self._hurry.set()
        self._silent = self._silent and not speaks

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit."""
        return not (self._waiting or self._busy or self._suspected or self._blocked)

    async def run(self) -> None:
        """Commit group after group, for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting or self._suspected:
                if self._suspected:
                    await self._recover()
                    continue
                await self._pace()
                await self._gather()
                group = self._take_group()
                self._silent = not self._waiting
                self._busy = True
                await self._commit_group(group)
                self._busy, self._ended = False, self.runtime.clock.monotonic()

    async def _pace(self) -> None:
        """Let a group gather while commits follow each other: each costs a sync of the disk and a row of receipts."""
        while len(self._waiting) < self.most:
            wait = self._ended + (SILENT_PACE if self._silent else PACE) - self.runtime.clock.monotonic()
            if wait <= 0:
                return
            self._hurry.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._hurry.wait()

    async def _gather(self) -> None:
        """Each attempt ends in a task of its own, some in each turn of the loop: wait while the turns bring more."""
        idle_turns = 0
        while idle_turns < IDLE_TURNS and len(self._waiting) < self.most:
            before = len(self._waiting)
            await asyncio.sleep(0)
            idle_turns = idle_turns + 1 if len(self._waiting) == before else 0

    def suspect(self, reason: str) -> None:
        """The store failed somebody else, perhaps after a commit: intake pauses until it takes a write (RULES 3.2)."""
        self.failing = reason
        self._suspected = True
        self.unknown()
        self._some.set()

    async def _recover(self) -> None:
        self._failed_writes += 1
        await asyncio.sleep(STORE_BACKOFF.bound(self._failed_writes))
        self._suspected = False
        if await takes_a_write(self.store):
            self.failing = ""
        else:
            self._suspected = True

    def _keys(self, entry: Arrival) -> tuple[bytes, str]:
        return entry.key, entry.run or (entry.timer.run.hex() if entry.timer is not None else "")

    def _needs_lock(self, entry: Arrival) -> bool:
        return entry.fenced and entry.role is Role.STEP

    def _ending(self, entry: Arrival, rows: Mapping[str, LedgerRow] | None) -> tuple[Ending, bool]:
        ledger = entry.ledger if rows is None else rows.get(entry.run)
        if entry.fenced:
            return self.recorder.fence(entry, ledger), False
        try:
            ending, owned = self.recorder.ending(entry, ledger)
        except Exception as error:  # noqa: BLE001 -- what it said must not leave: that delivery's failed attempt
            self._blame(entry, error)
            ending, owned = self.recorder.ending(entry, ledger)
        if entry.claimed and ending.inbox is not None:  # its own claim stands in the inbox, and must not
            ending = ending._replace(inbox=ending.inbox._replace(won=True))
        shed = bool(ending.receipt) and self.recorder.shed()
        return (ending._replace(receipt=b"") if shed else ending), owned

    def _answer(self, group: Sequence[Arrival], written: Sequence[Written]) -> None:
        rows: list[OutboxRow] = []
        winners: list[Arrival] = []
        for arrival, one in zip(group, written, strict=True):
            rows.extend(one.outbox)
            if one.blocked:
                self._blocked += 1
                asyncio.get_running_loop().call_later(BLOCKED_WAIT, self._again, arrival)
            elif one.won:
                winners.append(arrival)
            else:
                self.lost(arrival)
        self.won(winners, rows)
        if not self._suspected:
            self.failing, self._failed_writes = "", 0

    def _again(self, arrival: Arrival) -> None:
        self._blocked -= 1
        self.submit(arrival)

    def _unanswered(self, group: Sequence[Arrival], error: StoreError) -> bool:
        self.unknown()
        return True

    def _away(self, error: StoreError) -> None:
        self.failing = text_of(error, ALWAYS)
        self.runtime.trouble("the store does not answer", reason=self.failing)

    async def _still_open(self, group: list[Arrival]) -> list[Arrival]:
        """Those that the commit of unknown outcome did not end; the others are looked up again (RULES 3.2)."""
        try:
            rows = await self.store.inbox([each.key for each in group if each.key])
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

    def _blame(self, entry: Arrival, error: Exception) -> bool:
        """An error that repeats when committed alone is that delivery's own failed attempt (RULES 3.2).

        Where that cannot be written either it is buried, then buried with the little that is known, and at last given
        back, so that the broker's delivery limit ends it: each blame is a step down, none is taken twice.
        """
        mask = entry.mask()
        self.runtime.trouble("an attempt cannot be written", error=text_of(error, mask))
        entry.blamed += 1
        if isinstance(entry.outcome, GiveBack):
            raise error
        if not isinstance(entry.outcome, Done | Again | Bury) or entry.blamed > MOST_BLAMES:
            entry.outcome, entry.marked = GiveBack(), False
        elif entry.blamed > 1 or isinstance(entry.outcome, Bury):
            entry.blamed = MOST_BLAMES
            entry.outcome = Bury("unwritable", clean(type(error).__name__), row=False)
        else:
            entry.outcome = decide.failed(
                error,
                retry=entry.subscription.retry,
                used=entry.used,
                chance=self.runtime.chance,
                free=self.free(entry, error),
                mask=mask,
                whole=self.runtime.whole_stacks,
            )
        return True


def _ended(arrival: Arrival, row: InboxRow | None) -> bool:
    """Whether this very run, or another of the same delivery, stands in the inbox by now."""
    if row is None or row == arrival.row:
        return False
    return row.state is not InboxState.RETRY or row.attempt >= arrival.attempt
