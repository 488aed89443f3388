"""Custody: what is authentic is committed, whatever becomes of it, and answered after the commit (RULES 12.2 to 12.6).

One push: read it (`interpret`), commit key and events in a group commit that many callers share, or, where it cannot be
said, keep it with its cause. The key is written without asking first whether it is there: almost always it is not.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from hocket.errors import RowLocked, StoreError
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.runtime import Runtime
from hocket.store.group_commit import CallerLedCommit, HalfTaken
from hocket.store.records import Ending, InboxRow, InboxWrite
from hocket.webhooks.declared import Webhook
from hocket.webhooks.signature import Push
from hocket.worker.webhooks.custody import Custody
from hocket.worker.webhooks.endings import endings
from hocket.worker.webhooks.ends import Cause, End
from hocket.worker.webhooks.interpret import DriftCheck, Interpreted, interpret, no_drift
from hocket.worker.webhooks.keys import Keys, Taken, conflict, is_same, keys_of

#: Seconds that a push waits for the same id which is still being committed elsewhere, or for a look after a commit of
#: unknown outcome; then 503.
WAIT_SECONDS = 2.0
#: Seconds between two tries meanwhile.
TRY_SECONDS = 0.05


class NotTaken(Exception):
    """Nobody knows now whether it is in custody: the sender is to repeat it."""


@dataclass(slots=True)
class _AtWork:
    """A push that is being committed now."""

    hash: bytes
    task: "asyncio.Task[Taken]"


@dataclass(slots=True)
class _One:
    """One push on its way: how it is read, and its flow if it is the first."""

    hook: Webhook
    push: Push
    keys: Keys
    read: Interpreted
    secret: int
    flow: str
    deadline: float

    @property
    def taken(self) -> Taken:
        """It is the first, and committed."""
        return Taken(self.flow, End.SAID if self.read.said else End.NOTHING)


@dataclass(slots=True)
class Taking:
    """Takes the pushes of one service into custody."""

    runtime: Runtime
    outside: OutsideTransactions
    custody: Custody
    drift: DriftCheck = no_drift
    _commit: CallerLedCommit = field(init=False)
    _at_work: dict[bytes, _AtWork] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._commit = CallerLedCommit(self.runtime.store, self.runtime.config.commit_attempts)

    async def take(self, hook: Webhook, push: Push, fault: str, secret: int) -> Taken:
        """Commit one authentic push. `NotTaken` where its outcome is not known; `fault`: its `key=` failed.

        Whoever waits may give up: the commit runs to its end all the same (RULES 12.4).
        """
        keys = keys_of(self.runtime.service, hook, push)
        while (first := self._at_work.get(keys.id)) is not None:
            await asyncio.wait([first.task])
            if first.hash == keys.hash and not first.task.cancelled():
                return Taken(first.task.result().flow, End.SEEN)
            self._ended(keys.id, first)
        task = asyncio.get_running_loop().create_task(
            self._take(hook, push, keys, fault, secret), name=f"{self.runtime.service}: webhook {hook.name}"
        )
        mine = self._at_work[keys.id] = _AtWork(keys.hash, task)
        task.add_done_callback(lambda _: self._ended(keys.id, mine))
        return await asyncio.shield(task)

    def _ended(self, key: bytes, work: _AtWork) -> None:
        if self._at_work.get(key) is work:
            del self._at_work[key]
        if not work.task.cancelled():
            work.task.exception()  # whoever waited has it; nobody may be left

    async def finished(self) -> None:
        """Wait for what is being committed."""
        while self._at_work:
            await asyncio.wait([each.task for each in self._at_work.values()])

    def read(self, hook: Webhook, push: Push, fault: str = "", *, again: bool = False) -> Interpreted:
        """What a push says, or why it is kept; `again`: a person has asked for it, and drift keeps it no more."""
        if fault:
            return Interpreted(cause=Cause.MAPPING, error=fault)
        return interpret(hook, push, self._check, no_drift if again else self.drift)

    def _check(self, said: object) -> None:
        self.outside.builder.check(said, self.runtime.service, self.outside.declared.says)

    async def _take(self, hook: Webhook, push: Push, keys: Keys, fault: str, secret: int) -> Taken:
        loop = asyncio.get_running_loop()
        flow, deadline = self.runtime.ids.uuid7(), loop.time() + WAIT_SECONDS
        one = _One(hook, push, keys, self.read(hook, push, fault), secret, flow, deadline)
        while True:
            try:
                return await self._tried(one)
            except RowLocked:  # another replica is at it
                if loop.time() >= deadline:
                    raise NotTaken("another process is still committing the same delivery") from None
            except StoreError:
                self.outside.unknown()
                return await self._look(one)
            await asyncio.sleep(TRY_SECONDS)

    async def _tried(self, one: _One) -> Taken:
        if one.read.cause is not None:
            return await self._keep(one, one.read)
        ending, also = endings(self.outside, one.keys, one.read, one.flow)
        try:
            written = await self._commit.commit(ending, also)
        except HalfTaken:
            return await self._first(one)
        if written.blocked:
            raise RowLocked("another transaction holds this key")
        if not written.won:
            return await self._first(one)
        self.outside.committed(written.outbox)
        return one.taken

    async def _keep(self, one: _One, read: Interpreted) -> Taken:
        return await self.custody.keep(one.hook, one.push, one.keys, read, one.secret, one.flow)

    async def _first(self, one: _One) -> Taken:
        """Its id or its body was here before: what that makes of this one (RULES 12.4 to 12.6)."""
        found = await self.runtime.store.inbox(one.keys.all)
        known = found.get(one.keys.id)
        if known is not None:
            if known.correlation_id == one.flow:
                return one.taken  # it is this one: its answer was lost
            if is_same(known, one.keys.hash, one.read.events_hash):
                await self._remember(one, found, known)
                return Taken(known.correlation_id, End.SEEN)
            return await self._keep(one, conflict())
        twin = found.get(one.keys.body) if one.keys.body is not None else None
        if twin is not None:
            return Taken(twin.correlation_id, End.TWIN)
        raise RowLocked("what was first was rolled back meanwhile")

    async def _remember(self, one: _One, found: Mapping[bytes, InboxRow], known: InboxRow) -> None:
        """Remember the body of a retry whose sender has made it anew: under a new id it is a twin too (RULES 12.6)."""
        body = one.keys.body
        if body is not None and body not in found:
            row = known._replace(key=body, event_id=one.keys.body_name)
            await self._commit.commit(Ending(InboxWrite(row, 1)))

    async def _look(self, one: _One) -> Taken:
        """After a commit of unknown outcome: look the key up, for as long as a sender waits (RULES 3.2)."""
        while asyncio.get_running_loop().time() < one.deadline:
            try:
                async with asyncio.timeout_at(one.deadline):
                    return await self._first(one)
            except (StoreError, TimeoutError):
                await asyncio.sleep(TRY_SECONDS)
        raise NotTaken("the database does not answer")
