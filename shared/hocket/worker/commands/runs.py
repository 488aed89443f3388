"""Answers the requests of commands: claims a key, runs the handler, ends in one transaction, replays (RULES 13)."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from hocket.declarations.requests.command import Command
from hocket.errors import BreakerOpen, HocketError, OutboxFull, StoreError
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.runtime import Runtime
from hocket.worker.commands import problems
from hocket.worker.commands.answers import Answer, NotStorable, answer_of, response_of
from hocket.worker.commands.asked import Asked, Target, asked_of
from hocket.worker.commands.body import whole_body
from hocket.worker.commands.claim import ENDED, LEASE_SECONDS, Claim, CommandRow
from hocket.worker.commands.header import MalformedKey, key_of
from hocket.worker.commands.rows import CommandRows, Run

#: Seconds that one run of a command's handler may take.
RUN_SECONDS = 60.0
#: Seconds between two renewals of a run's lease.
RENEW_SECONDS = LEASE_SECONDS / 3
#: Seconds that a request waits for the first one with its key, before it is answered 409.
WAIT_SECONDS = 2.0
#: Seconds between two looks meanwhile: the first, and the longest.
LOOK_SECONDS = (0.02, 0.25)
#: Seconds for which the outcome of a commit is looked up that nobody answered.
SETTLE_SECONDS = 2.0
#: Seconds after which a caller may ask again who was not served.
AGAIN_SECONDS = 2


class Fenced(Exception):
    """Another run has taken the key: nothing of this one is kept."""


class Ended(NamedTuple):
    """How a request of a command ended: the word that is counted, and the response."""

    word: str
    response: web.StreamResponse
    answer: Answer | None = None  # what is stored, where something is


@dataclass(slots=True)
class _Course:
    """How far one run has come."""

    response: web.StreamResponse | None = None
    answer: Answer | None = None
    committing: bool = False
    limit: asyncio.Timeout | None = None


@dataclass(slots=True)
class CommandRuns:
    """The commands of one running service. `check` raises `StoreError` while the store is not open."""

    runtime: Runtime
    transactions: OutsideTransactions
    check: Callable[[], None]
    _rows: CommandRows = field(init=False)
    _at_work: dict[tuple[bytes, bytes], asyncio.Future[Answer | None]] = field(default_factory=dict)  # in this process
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = CommandRows(self.runtime.store, self.runtime.instance.boot)

    async def answer(self, command: Command, request: web.Request) -> web.StreamResponse:
        """Answer one request. What the handler raises comes through, and its key is released."""
        resource = request.match_info.route.resource
        route = f"{request.method} {resource.canonical if resource is not None else 'no route'}"
        word = "failed"
        try:
            word, response, _ = await self._ended(command, request, route)
            return response
        finally:
            self.runtime.signals.command(self.runtime.service, route, word)

    async def _ended(self, command: Command, request: web.Request, route: str) -> Ended:
        if request.method not in problems.METHODS:
            return Ended("refused", problems.unsafe_only(request.method))
        try:
            value = key_of(request.headers.getall("Idempotency-Key", ()))
        except MalformedKey as error:
            return Ended("refused", problems.malformed(str(error)))
        if value is None and command.required:
            return Ended("refused", problems.missing())
        try:
            self.check()
            if value is None:
                return Ended("unkeyed", await self._unkeyed(command, request))
            return await self._keyed(command, request, route, value)
        except (OutboxFull, StoreError, BreakerOpen) as error:
            return self._later(error, route)

    async def _unkeyed(self, command: Command, request: web.Request) -> web.StreamResponse:
        """Run the handler for a request without a key: each is a thing of its own."""
        async with self.transactions.transaction(None, None) as tx:
            return await command.fn(request, tx)

    async def _keyed(self, command: Command, request: web.Request, route: str, value: str) -> Ended:
        body = await whole_body(request)  # what a lost client has not sent ends here: nothing is claimed yet
        url = request.rel_url
        kind = request.headers.get("Content-Type", "")
        target = Target(request.method, url.raw_path, url.raw_query_string, kind, body)
        caller = command.caller(request)
        if not isinstance(caller, str):
            raise HocketError(f"{command.name}: caller= returned {type(caller).__name__}; it returns a text")
        asked = asked_of(self.runtime.service, route, target, caller, value)
        if self.transactions.full():
            row = await self._rows.look(asked.key)
            if row is None or row.state != ENDED or row.fingerprint != asked.fingerprint:
                raise OutboxFull(f"{self.runtime.service} has as many events waiting as its bound allows")
            return _again("replayed", row)
        return await self._alone(command, request, asked)

    async def _alone(self, command: Command, request: web.Request, asked: Asked) -> Ended:
        """In this process one of several equal requests asks the store; the others wait, at most `WAIT_SECONDS`."""
        loop, same = asyncio.get_running_loop(), (asked.key, asked.fingerprint)
        end = loop.time() + WAIT_SECONDS
        while (first := self._at_work.get(same)) is not None:
            await asyncio.wait([first], timeout=max(0.0, end - loop.time()))
            if not first.done():
                return await self._elsewhere(asked)
            if (answer := first.result()) is not None:
                return Ended("replayed", response_of(answer, replayed=True), answer)
        mine = self._at_work[same] = loop.create_future()
        answer = None
        try:
            ended = await self._claimed(command, request, asked, end)
            answer = ended.answer
            return ended
        finally:
            del self._at_work[same]
            mine.set_result(answer)

    async def _elsewhere(self, asked: Asked) -> Ended:
        """The answer of another process, which has taken the key from a run of this one; else 409."""
        row = await self._rows.look(asked.key)
        if row is not None and row.state == ENDED and row.fingerprint == asked.fingerprint:
            return _again("replayed", row)
        return Ended("in progress", problems.in_progress())

    async def _claimed(self, command: Command, request: web.Request, asked: Asked, end: float) -> Ended:
        """Claim the key and run; while another process runs, look what it answers until `end`, a time of the loop."""
        ids, loop, wait = self.runtime.ids, asyncio.get_running_loop(), LOOK_SECONDS[0]
        while True:
            claim = await self._rows.claim(asked, ids.uuid7(), ids.uuid7())
            if isinstance(claim, Run):
                return await self._run(command, request, claim)
            match claim:
                case (Claim.OTHER, _):
                    return Ended("conflict", problems.other())
                case (Claim.REPLAY, CommandRow() as row):
                    return _again("replayed", row)
            if loop.time() >= end:
                return Ended("in progress", problems.in_progress())
            await asyncio.sleep(wait)
            wait = min(2 * wait, LOOK_SECONDS[1])

    async def _run(self, command: Command, request: web.Request, run: Run) -> Ended:
        course, over = _Course(), asyncio.Event()
        renewal = asyncio.get_running_loop().call_later(RENEW_SECONDS, lambda: self._spawn(self._renew(run, over)))
        try:
            await self._commit(command, request, run, course)
        except Fenced:
            return await self._fenced(run)
        except (StoreError, TimeoutError) as error:
            if course.committing:
                return await self._unknown(run, course)
            await self._release(run)
            if isinstance(error, TimeoutError) and course.limit is not None and course.limit.expired():
                why = f"{command.name} did not end within {RUN_SECONDS:.0f} s: nothing was done; ask again"
                return Ended("failed", problems.later(why, AGAIN_SECONDS))
            raise
        except NotStorable as error:
            await self._release(run)
            _break_off(request, course.response)
            self.runtime.trouble("the answer of a command cannot be stored", command=command.name, reason=str(error))
            return Ended("failed", problems.not_storable(command.name))
        except asyncio.CancelledError:
            # A commit that was cancelled may still happen: its row decides, for a release finds `begun` alone.
            self._spawn(self._release(run))
            raise
        except BaseException:
            await self._release(run)
            raise
        finally:
            renewal.cancel()
            over.set()
        return _first(run, course)

    async def _commit(self, command: Command, request: web.Request, run: Run, course: _Course) -> None:
        """Run the handler and end the command: effects, what is said and the answer in one transaction."""
        async with asyncio.timeout(RUN_SECONDS) as course.limit:
            async with self.transactions.claimed(run.asked.name, run.flow) as tx:
                course.response = await command.fn(request, tx)
                course.answer = answer_of(course.response)
                if not await self._rows.end(await tx.db(), run, course.answer):
                    raise Fenced
                course.committing = True

    async def _fenced(self, run: Run) -> Ended:
        """Another run has taken the key from this one: its answer, if it is there."""
        row = await self._rows.look(run.asked.key)
        if row is not None and row.state == ENDED and row.fingerprint == run.asked.fingerprint:
            return _again("fenced", row)
        return Ended("fenced", problems.in_progress())

    async def _unknown(self, run: Run, course: _Course) -> Ended:
        """Nobody knows whether the run has committed (RULES 3.2): look, and never answer what may not stand."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    found = await self._rows.settle(run)
                    if not found.locked:
                        break
                    await asyncio.sleep(LOOK_SECONDS[1])
            row = found.row
            if row is not None and row.state == ENDED:
                return _first(run, course) if row.owner == run.owner else _again("fenced", row)
            if row is not None and row.owner == run.owner:
                return Ended("failed", problems.later("the database has not kept it; ask again", AGAIN_SECONDS))
        why = "the database did not say whether this was done; ask again with the same Idempotency-Key"
        return Ended("unknown", problems.later(why, math.ceil(LEASE_SECONDS)))

    async def _renew(self, run: Run, over: asyncio.Event) -> None:
        """Keep the lease of a run, until it is over or has lost its key."""
        while not over.is_set():
            with suppress(StoreError):
                if not await self._rows.renew(run):
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), RENEW_SECONDS)

    async def _release(self, run: Run) -> None:
        """Free the key; where the store does not answer, its lease does."""
        with suppress(StoreError):
            await self._rows.release(run)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _later(self, error: OutboxFull | StoreError | BreakerOpen, route: str) -> Ended:
        if isinstance(error, BreakerOpen):
            seconds = max(math.ceil(error.wait.total_seconds()), 1)
            return Ended("refused", problems.later(f"{error.breaker} is not asked now; ask again later", seconds))
        if isinstance(error, OutboxFull):
            return Ended(
                "refused", problems.later("too many events wait for the broker; ask again later", AGAIN_SECONDS)
            )
        self.runtime.trouble("the database did not answer a command", route=route, reason=str(error))
        return Ended("refused", problems.later("the database does not answer now; ask again later", AGAIN_SECONDS))


def _first(run: Run, course: _Course) -> Ended:
    assert course.response is not None
    assert course.answer is not None
    response = course.response
    if isinstance(response, web.HTTPException):  # returned, not raised: aiohttp warns of that
        response = response_of(course.answer, replayed=False)
    return Ended("first" if run.attempt == 1 else "taken over", response, course.answer)


def _break_off(request: web.Request, response: web.StreamResponse | None) -> None:
    """An answer that is on its way already, and of which nothing holds: the caller must not take it for whole."""
    if response is not None and response.prepared and request.transport is not None:
        request.transport.abort()


def _again(word: str, row: CommandRow) -> Ended:
    answer = Answer(row.status, row.headers, row.body)
    return Ended(word, response_of(answer, replayed=True), answer)
