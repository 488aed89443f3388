"""Group commit for `service.tx()`: while one commit runs, the endings of all other callers wait for the next one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hocket.errors import StoreError
from hocket.store.port import Store
from hocket.store.records import Ending, Written

#: Most endings of one commit.
GROUP = 64


@dataclass(slots=True, eq=False)
class _Waiter:
    """One caller in the queue. Its answer is what was written, or None: it is the next to commit, for all who wait."""

    ending: Ending
    answer: "asyncio.Future[Written | None]"


@dataclass(slots=True)
class GroupCommit:
    """Commits endings of many callers; each gets its own answer or its own error."""

    store: Store
    _waiting: deque[_Waiter] = field(default_factory=deque)
    _committing: bool = False

    async def commit(self, ending: Ending) -> Written:
        """Written whole or not at all; raises what `Store.commit` raises for this ending alone."""
        waiter = _Waiter(ending, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        if self._committing:
            try:
                written = await waiter.answer
            except asyncio.CancelledError:
                if waiter is self._first() and waiter.answer.done() and not waiter.answer.cancelled():
                    self._waiting.popleft()  # it was to commit next, and was cancelled before it could
                    self._wake_next()
                raise
            if written is not None:
                return written
        self._committing = True
        return await self._commit_batch()

    def _first(self) -> _Waiter | None:
        return self._waiting[0] if self._waiting else None

    async def _commit_batch(self) -> Written:
        mine = self._waiting.popleft()
        group = [mine]
        while self._waiting and len(group) < GROUP:
            waiter = self._waiting.popleft()
            if not waiter.answer.done():  # else it was cancelled before anything was written
                group.append(waiter)
        try:
            [first, *rest] = await self._write(group)
        except BaseException as error:
            why = str(error) or "a commit shared with other callers was cancelled"
            for waiter in group[1:]:
                if not waiter.answer.done():
                    waiter.answer.set_exception(StoreError(why))
            raise
        finally:
            self._wake_next()
        for waiter, written in zip(group[1:], rest, strict=True):
            if waiter.answer.done():
                continue
            if isinstance(written, Exception):
                waiter.answer.set_exception(written)
            else:
                waiter.answer.set_result(written)
        if isinstance(first, Exception):
            raise first
        return first

    async def _write(self, group: Sequence[_Waiter]) -> Sequence[Written | Exception]:
        """One commit for all. An error that is not the store's wrote nothing: each ending is then committed alone."""
        try:
            return await self.store.commit([waiter.ending for waiter in group])
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- one invalid ending must not fail the others
            if len(group) == 1:
                return [error]
            return [(await self._write([waiter]))[0] for waiter in group]

    def _wake_next(self) -> None:
        """Let the first caller that still waits commit the next batch."""
        while self._waiting and self._waiting[0].answer.cancelled():
            self._waiting.popleft()
        self._committing = bool(self._waiting)
        if self._waiting and not self._waiting[0].answer.done():
            self._waiting[0].answer.set_result(None)
