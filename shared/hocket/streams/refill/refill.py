"""Sends attempts again that waited in a queue that was deleted or emptied (RULES 7.5 j)."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import HocketError, StoreError, TransportError
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.streams.elsewhere import ELSEWHERE_SECONDS
from hocket.streams.refill.from_log import FromLog
from hocket.streams.refill.waiting import Waiting, still_waiting, waiting_of

#: Seconds after a cause within which what waits is noted; a confirm that came just before it may still be written.
SETTLE_SECONDS = 5.0
#: Seconds that an attempt must wait outside queue, outbox and this process before it is lost.
GRACE_SECONDS = 3.0
#: Seconds between two looks, the longest between them while nothing is lost, and between two rounds without a cause.
LOOK_SECONDS, LONGEST_SECONDS, ROUND_SECONDS = 1.0, 30.0, 3600.0
#: Inbox rows that one round looks at, and seconds for which it looks at them, where their queue is never empty; what is
#: more waits for the next, which follows at once.
MOST_ROWS, MOST_SECONDS = 10_000, 600.0
#: Ids of events that a line of the log names.
MOST_NAMED = 20
REFILL_BACKOFF = Backoff(first=0.5, longest=10.0)


@dataclass(slots=True)
class Refill:
    """Refills the queues of one service: at its start, after each new connection or missing queue, and every hour.

    An attempt is lost that the inbox knows as `retry`, that no row of the outbox will send, whose queue is empty and
    that nobody has in hand, for some seconds (`ELSEWHERE_SECONDS` while other replicas live). One that was not lost is
    seen when it comes twice (RULES 3.5). `reason` says for readiness that attempts are being sent again.
    """

    runtime: Runtime
    runners: Mapping[str, SubscriptionRunner]
    reason: str = ""
    sent: int = 0  # attempts that were sent again
    out_of_reach: int = 0  # attempts that the log does not have
    _cause: asyncio.Event = field(default_factory=asyncio.Event)
    _said: str = ""
    _beyond: set[tuple[bytes, int]] = field(default_factory=set)  # what the log does not have is not asked for again

    async def run(self) -> None:
        """Refill until cancelled."""
        self.runtime.transport.on_ready(self.again)
        on, after = (StoreError, TransportError), b""
        while True:
            self._cause.clear()
            work = partial(self._round, after)
            after = await until_done(work, REFILL_BACKOFF, self.runtime.chance, on=on, failed=self._failed)
            self.reason = self._said = ""
            if not after and not self._cause.is_set():
                await self._caused(ROUND_SECONDS)

    def reasons(self) -> list[str]:
        """Why the service is not ready."""
        return [self.reason] if self.reason else []

    async def again(self) -> None:
        """Everything was declared again: a queue may be another one."""
        self._cause.set()

    def _failed(self, error: HocketError) -> None:
        if str(error) != self._said:
            self._said = str(error)
            self.runtime.trouble("attempts of a deleted queue could not be sent again", reason=str(error))

    async def _round(self, after: bytes) -> bytes:
        """Look at the rows behind this key, until none of them is lost; the key from which the next round goes on."""
        clock, cursor, wait = self.runtime.clock, b"", LOOK_SECONDS
        noted: dict[bytes, tuple[Waiting, float]] = {}
        began = clock.monotonic()
        while True:
            now = clock.monotonic()
            if now - began <= SETTLE_SECONDS:
                cursor = await self._note(noted, after, now)
            elif not noted or now - began > MOST_SECONDS:
                return cursor
            busy = await self._look(noted, now) or now - began <= SETTLE_SECONDS
            wait = LOOK_SECONDS if busy else min(wait * 2, LONGEST_SECONDS)
            if await self._caused(wait):
                return b""  # all is looked at again

    async def _caused(self, seconds: float) -> bool:
        """Wait so long, or until there is a cause to look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cause.wait()
        return self._cause.is_set()

    async def _note(self, noted: dict[bytes, tuple[Waiting, float]], after: bytes, now: float) -> bytes:
        queues = {name for each in self.runners.values() for name in _names(each)}
        if not queues:
            return b""
        async with self.runtime.store.read() as db:
            rows, cursor = await waiting_of(db, queues, MOST_ROWS, after)
        for each in rows:
            if (each.key, each.attempt) not in self._beyond and noted.get(each.key, (None,))[0] != each:
                noted[each.key] = each, now
        return cursor

    async def _look(self, noted: dict[bytes, tuple[Waiting, float]], now: float) -> bool:
        """Send what is lost; whether something of what was noted is over."""
        grace = GRACE_SECONDS
        if noted and self.runtime.store.replicas and len(await self.runtime.store.breakers.living()) > 1:
            grace = ELSEWHERE_SECONDS
        due = [each for each, since in noted.values() if since + grace <= now]
        if not due:
            return False
        async with self.runtime.store.read() as db:
            still = await still_waiting(db, due)
        for key in {each.key for each in due} - {each.key for each in still}:
            del noted[key]
        lost = await self._lost(still)
        if lost:
            await self._take(lost)
            for each in (each for some in lost.values() for each in some):
                del noted[each.key]
        return bool(lost) or len(still) < len(due)

    async def _lost(self, still: Sequence[Waiting]) -> dict[str, list[Waiting]]:
        """Those whose queue is empty, by their subscription's queue."""
        lost: dict[str, list[Waiting]] = {}
        for queue, runner in tuple(self.runners.items()):
            names = _names(runner)
            some = [each for each in still if each.queue in names and not runner.has(each.key, each.event_id)]
            if some and (runner.consumer is not None or runner.past) and await self._empty(runner):
                lost[queue] = some
        return lost

    async def _empty(self, runner: SubscriptionRunner) -> bool:
        """Whether nothing waits where an attempt of it may wait: a queue that is not consumed holds none.

        But that of an ordered subscription does: what is tried again of its history waits there for the cut-over. What
        is in the buffer here is not decoded yet, and may be any of them.
        """
        if len(runner.intake):
            return False
        live = [runner.subscription.queue] if runner.consumer is not None or runner.subscription.ordered else []
        history = runner.subscription.history_queue
        for queue in [*live, *runner.former.consumers, *([history] if history in runner.past else [])]:
            depth = await self.runtime.transport.depth(queue)
            if depth is None or depth.messages:
                return False  # one that is missing is declared first: whoever consumes it notices
        return True

    async def _take(self, lost: Mapping[str, Sequence[Waiting]]) -> None:
        queues = ", ".join(sorted(lost))
        many = sum(len(each) for each in lost.values())
        self.reason = f"{many} attempts that waited in {queues} are gone from there; they are sent again from the log"
        there = {
            queue: self.runners[queue] for queue in lost if queue in self.runners
        }  # a generation may end meanwhile
        taken = FromLog(self.runtime, there)
        beyond = await taken.send([each for some in lost.values() for each in some])
        self.sent += taken.sent
        if taken.sent:
            self.runtime.trouble(
                "attempts that waited in a queue were gone from it, so it was deleted or emptied: they were sent again "
                "from the log", queues=queues, attempts=taken.sent,
            )  # fmt: skip
        if beyond:
            self.out_of_reach += len(beyond)
            self._beyond |= {(each.key, each.attempt) for each in beyond}
            self.runtime.trouble(
                "attempts that waited in a queue are lost: it was deleted or emptied, and the log does not have them",
                queues=queues, attempts=len(beyond), events=", ".join(each.event_id for each in beyond[:MOST_NAMED]),
                way_out="replay letters again at the desk; settle orders to undo by hand",
            )  # fmt: skip
        self.reason = ""


def _names(runner: SubscriptionRunner) -> set[str]:
    return {runner.subscription.queue, *runner.subscription.former_queues}
