"""Station commit: everything that finished meanwhile in one transaction; a failure is committed like a success."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hocket.clock import Clock
from hocket.errors import StoreError
from hocket.outcome import Bury, Seen
from hocket.pipeline import decide
from hocket.pipeline.arrival import Arrival, Role
from hocket.pipeline.record import Recorder
from hocket.saga import LedgerRow
from hocket.signals import Signals
from hocket.store import Ending, OutboxRow, Store, Written

PROMISE = "everything that finished meanwhile in one transaction; a failure is committed like a success"

#: Attempts in one transaction: a quarter of the prefetch, or a group would swallow it whole.
GROUP = 64
#: Seconds between tries while the store fails: doubled from the first to the longest.
STORE_FIRST_WAIT = 0.1
STORE_LONGEST_WAIT = 5.0
#: Seconds after which an arrival whose key another transaction holds is committed again, apart (RULES 3.3).
BLOCKED_WAIT = 0.25


@dataclass(slots=True)
class Committer:
    """The group commit of one service; `won` and `lost` are told what became of each arrival."""

    store: Store
    recorder: Recorder
    signals: Signals
    clock: Clock
    chance: random.Random
    shed: Callable[[], bool]  # whether receipts are to be shed now (RULES 4.6)
    won: Callable[[Sequence[Arrival], Sequence[OutboxRow]], None]
    lost: Callable[[Arrival], None]
    unknown: Callable[[], None]  # a commit may have happened or not (RULES 3.2)
    failing: str = ""  # why the store does not answer, "" where it does
    _pending: deque[Arrival] = field(default_factory=deque)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: int = 0
    _apart: int = 0

    def submit(self, arrival: Arrival) -> None:
        """Commit this arrival's outcome with the next group."""
        self._pending.append(arrival)
        self._some.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit."""
        return not self._pending and not self._busy and not self._apart

    async def run(self) -> None:
        """Commit group after group, for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._pending:
                group = self._group()
                self._busy = len(group)
                await self._commit(group)
                self._busy = 0

    def _group(self) -> list[Arrival]:
        """The next arrivals, no step run and no key twice: what is decided second must see what was written first."""
        group: list[Arrival] = []
        taken: set[str | bytes] = set()
        later: list[Arrival] = []
        while self._pending and len(group) < GROUP:
            each = self._pending.popleft()
            marks: set[str | bytes] = {mark for mark in (each.key, each.run) if mark}
            if marks & taken:
                later.append(each)
                continue
            taken |= marks
            group.append(each)
        self._pending.extendleft(reversed(later))
        return group

    async def _commit(self, group: list[Arrival]) -> None:
        wait = STORE_FIRST_WAIT
        while True:
            try:
                await self._tell(group, await self._write(group))
                self.failing = ""
                return
            except StoreError as error:
                self.failing = str(error)
                self.unknown()
                self.signals.trouble(self.recorder.who.service, "the store does not answer", reason=str(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, STORE_LONGEST_WAIT)
            except Exception as error:  # noqa: BLE001 -- one bad neighbour must not take the others along
                if len(group) == 1:
                    self._blame(group[0], error)
                    continue
                for each in group:
                    await self._commit([each])
                return

    def _blame(self, arrival: Arrival, error: Exception) -> None:
        """An error that repeats when committed alone is that delivery's own failed attempt (RULES 3.2)."""
        if isinstance(arrival.outcome, Bury) and not arrival.outcome.began:
            raise error
        if isinstance(arrival.outcome, Bury):  # even its failure cannot be written: bury it with the little we know
            arrival.outcome = Bury("unwritable", decide.clean(type(error).__name__), row=False)
            return
        arrival.outcome = decide.failed(
            error,
            retry=arrival.subscription.retry,
            used=arrival.used,
            now=self.clock.now(),
            chance=self.chance,
            free=None,
        )

    async def _write(self, group: Sequence[Arrival]) -> list[tuple[Written, bool]]:
        if not any(_needs_ledger(each) for each in group):
            endings = [self._ending(each, None) for each in group]
            written = await self.store.commit([ending for ending, _ in endings])
        else:
            async with self.store.transaction() as tx:
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
        return (replace(ending, receipt=b"") if self.shed() else ending), owned

    async def _tell(self, group: Sequence[Arrival], written: Sequence[tuple[Written, bool]]) -> None:
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
