"""Group commit: while one commit runs, all that asks goes into the next; repeats what was rolled back or unanswered.

Where a group fails while the store takes other writes, its entries are committed one by one: so the entry that is to
blame is found and does not hold up the others (RULES 3.2).

`GroupCommit` is the queue and the way of one group through the store. It has two leaders, each with a queue of its own:
`CallerLedCommit` for callers of `service.tx()`, and `delivery/commit.py` for deliveries. They are two because a caller
wants its answer at once, also when the store fails, while a delivery waits for the store, and for others to share with.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hocket.errors import HocketError, RowLocked, StoreError
from hocket.retry import Backoff
from hocket.saga.ledger import LedgerRow
from hocket.store.port import Store
from hocket.store.records import Ending, Written

E = TypeVar("E")

#: Waits between tries while the store fails.
STORE_BACKOFF = Backoff(first=0.1, longest=5.0)
#: Times that one entry alone may fail in the store while the store takes other writes: then it is to blame (RULES 3.2).
ALONE = 3
#: The answer of one that another transaction keeps from being written: it is tried again apart (RULES 3.3).
BLOCKED = Written(False, blocked=True)
#: The answer of one whose ledger row is not as it was read.
AGAIN = Written(False, again=True)


class GroupCommit(ABC, Generic[E]):
    """Entries that wait for a commit, and what becomes of a group of them; a group has `most` entries."""

    def __init__(self, store: Store, most: int) -> None:
        self.store = store
        self.most = most
        self._waiting: deque[E] = deque()

    @abstractmethod
    def _keys(self, entry: E) -> tuple[bytes, str] | None:
        """Inbox key and step run, each blank where there is none; None: nobody waits for this entry any more."""

    @abstractmethod
    def _ending(self, entry: E, rows: Mapping[str, LedgerRow] | None) -> tuple[Ending, bool]:
        """What to write for it, and whether its run still owned its step.

        By the ledger row as it is under its lock, among `rows`; None: as it was read before (RULES 3.1).
        """

    def _needs_lock(self, entry: E) -> bool:
        """Whether what was read before is known to be wrong: it is decided under the lock at once."""
        return False

    @abstractmethod
    def _answer(self, group: Sequence[E], written: Sequence[Written]) -> None:
        """The group is written: what became of each."""

    @abstractmethod
    def _blame(self, entry: E, error: Exception) -> bool:
        """Its own ending cannot be written; True: it has a smaller one now, which is to be tried."""

    @abstractmethod
    def _unanswered(self, group: Sequence[E], error: StoreError) -> bool:
        """The store failed, and nobody knows what was written (RULES 3.2); True: try again until it answers."""

    def _away(self, error: StoreError) -> None:
        """The store takes no other write either."""

    async def _still_open(self, group: list[E]) -> list[E]:
        """Those of the group that the commit of unknown outcome did not write."""
        return group

    def _take_group(self) -> list[E]:
        """The next entries, no step run and no key twice: what is decided second must see what was written first."""
        group: list[E] = []
        later: list[E] = []
        taken: set[str | bytes] = set()
        while self._waiting and len(group) < self.most:
            entry = self._waiting.popleft()
            keys = self._keys(entry)
            if keys is None:
                continue
            key, run = keys
            if (key and key in taken) or (run and run in taken):
                later.append(entry)
                continue
            taken.update(keys)
            group.append(entry)
        self._waiting.extendleft(reversed(later))
        return group

    async def _commit_group(self, group: list[E]) -> None:
        """Commit until each of the group has its answer."""
        for each in await self._commit_until_answered(group, locked=False):
            again = [each]
            while again:
                again = await self._commit_until_answered(again, locked=True)

    async def _commit_until_answered(self, group: list[E], *, locked: bool) -> list[E]:
        """The same, but for those that it returns: they are to be decided again, each by its row under the lock."""
        tries, alone = 0, 0
        while group:
            try:
                written = await (self._write_locked(group[0]) if locked else self._write(group))
                return self._answered(group, written)
            except RowLocked:
                await self._unblocked(group)
                return []
            except StoreError as error:
                if not self._unanswered(group, error):
                    return []
                tries += 1
                if not await self._wait(error, tries):
                    alone = 0
                    continue
                alone += 1
                if len(group) == 1 and alone >= ALONE:
                    self._blame(group[0], error)
                    alone = 0
                group = await self._still_open(group)
                if len(group) > 1:
                    await self._one_by_one(group)
                    return []
            except Exception as error:  # noqa: BLE001 -- one bad neighbour must not take the others along
                if len(group) > 1:
                    await self._one_by_one(group)
                    return []
                if not self._blame(group[0], error):
                    return []
        return []

    async def _wait(self, error: StoreError, tries: int) -> bool:
        """Wait before the next try; whether the store takes other writes meanwhile."""
        takes = await takes_a_write(self.store)
        if not takes:
            self._away(error)
        await asyncio.sleep(STORE_BACKOFF.bound(tries))
        return takes

    async def _unblocked(self, group: Sequence[E]) -> None:
        """Another transaction holds a row of one of them: that one is tried again apart (RULES 3.3)."""
        if len(group) > 1:
            await self._one_by_one(group)
        else:
            self._answer(group, [BLOCKED])

    async def _one_by_one(self, group: Sequence[E]) -> None:
        for each in group:
            await self._commit_group([each])

    def _answered(self, group: Sequence[E], written: Sequence[Written]) -> list[E]:
        """Give the answers; those that are to be decided again under the lock of their step run."""
        if not any(one.again for one in written):
            self._answer(group, written)
            return []
        done = [(each, one) for each, one in zip(group, written, strict=True) if not one.again]
        if done:
            self._answer([each for each, _ in done], [one for _, one in done])
        return [each for each, one in zip(group, written, strict=True) if one.again]

    async def _write(self, group: Sequence[E]) -> list[Written]:
        """All at once; the answers in order. A run that no longer owned its step has lost, whatever was written."""
        free = [each for each in group if not self._needs_lock(each)]
        endings = [self._ending(each, None) for each in free]
        written = await self.store.commit([ending for ending, _ in endings]) if free else []
        if len(free) == len(group):
            return [_owned(one, owned) for one, (_, owned) in zip(written, endings, strict=True)]
        answers = iter([_owned(one, owned) for one, (_, owned) in zip(written, endings, strict=True)])
        return [AGAIN if self._needs_lock(each) else next(answers) for each in group]

    async def _write_locked(self, entry: E) -> list[Written]:
        """One, decided by its ledger row as it is, which nobody changes meanwhile (RULES 3.1)."""
        keys = self._keys(entry)
        async with self.store.kit_transaction() as tx:
            rows = await tx.ledger([keys[1]] if keys is not None and keys[1] else [])
            ending, owned = self._ending(entry, rows)
            return [_owned(one, owned) for one in await tx.write([ending])]


def _owned(written: Written, owned: bool) -> Written:
    return written if owned else written._replace(won=False)


async def takes_a_write(store: Store) -> bool:
    """Whether the store takes a small write of the kit's own; then an error is not the store's (RULES 3.2)."""
    try:
        await store.commit([])
    except StoreError:
        return False
    return True


class HalfTaken(HocketError):
    """Of two endings that go together one won and the other lost: neither was written."""


@dataclass(slots=True, eq=False)
class _Call:
    """One caller in the queue: its answer, or None, which asks it to commit for all who wait."""

    ending: Ending
    also: Ending | None
    answer: "asyncio.Future[Written | None]"
    outcome: Written | Exception | None = None

    def tell(self) -> None:
        """Give the caller its answer, unless it has given up."""
        if self.answer.done():
            return
        if isinstance(self.outcome, Exception):
            self.answer.set_exception(self.outcome)
        else:
            self.answer.set_result(self.outcome)


class CallerLedCommit(GroupCommit[_Call]):
    """Commits endings of many callers: the first one commits for all who wait, and each gets its own answer."""

    def __init__(self, store: Store, most: int) -> None:
        super().__init__(store, most)
        self._led = False

    async def commit(self, ending: Ending, also: Ending | None = None) -> Written:
        """Written whole or not at all; raises what `Store.commit` raises for this ending alone.

        `also` is a second ending that stands or falls with it; `HalfTaken` where one of the two has lost.
        """
        call = _Call(ending, also, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._led:
            try:
                written = await call.answer
            except asyncio.CancelledError:
                if self._waiting and call is self._waiting[0] and call.answer.done() and not call.answer.cancelled():
                    self._waiting.popleft()  # asked to lead, and cancelled before it could
                    self._pass_on()
                raise
            if written is not None:
                return written
        self._led = True
        return await self._lead(call)

    async def _lead(self, call: _Call) -> Written:
        group = self._take_group()
        try:
            await self._commit_group(group)
        except BaseException as error:
            left = [each for each in group if each.outcome is None]
            self._unanswered(left, StoreError(str(error) or "a commit that was shared was cancelled"))
            raise
        finally:
            self._pass_on()  # before the answers: the next commit runs while those who are answered go on
            for each in group[1:]:
                each.tell()
        if isinstance(call.outcome, Exception):
            raise call.outcome
        assert call.outcome is not None
        return call.outcome

    def _pass_on(self) -> None:
        """The next who waits commits for all who wait then."""
        while self._waiting and self._waiting[0].answer.cancelled():
            self._waiting.popleft()
        self._led = bool(self._waiting)
        if self._waiting and not self._waiting[0].answer.done():
            self._waiting[0].answer.set_result(None)

    def _keys(self, entry: _Call) -> tuple[bytes, str] | None:
        if entry.answer.cancelled():
            return None  # it gave up before anything was written
        return b"", ""  # several endings of one key may share a group: the store lets the first win

    def _ending(self, entry: _Call, rows: Mapping[str, LedgerRow] | None) -> tuple[Ending, bool]:
        return entry.ending, True

    async def _write(self, group: Sequence[_Call]) -> list[Written]:
        if not any(each.also for each in group):
            return await super()._write(group)
        seconds = [(at, each.also) for at, each in enumerate(group) if each.also is not None]
        async with self.store.kit_transaction() as tx:
            written = await tx.write([*(each.ending for each in group), *(second for _, second in seconds)])
            for (at, _), second in zip(seconds, written[len(group) :], strict=True):
                if second.won is not written[at].won:
                    raise HalfTaken("a key is new and the one that goes with it is taken")
        return written[: len(group)]

    def _answer(self, group: Sequence[_Call], written: Sequence[Written]) -> None:
        for entry, one in zip(group, written, strict=True):
            entry.outcome = one

    def _blame(self, entry: _Call, error: Exception) -> bool:
        entry.outcome = error
        return False

    def _unanswered(self, group: Sequence[_Call], error: StoreError) -> bool:
        for entry in group:
            entry.outcome = StoreError(str(error))  # one object raised in several tasks would mix their tracebacks
            entry.outcome.__cause__ = error
        return False
