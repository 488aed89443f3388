"""Group commit for callers that come one by one: while one commit runs, all who ask meanwhile go into the next."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hocket.errors import StoreError
from hocket.store.port import Store
from hocket.store.records import Ending, Written


@dataclass(slots=True, eq=False)
class _Place:
    """One caller in the queue: its answer, or None, which asks it to commit for all who wait."""

    ending: Ending
    answer: "asyncio.Future[Written | None]"


@dataclass(slots=True)
class GroupCommit:
    """Commits endings of many callers; each gets its own answer or its own error."""

    store: Store
    most: int  # endings of one commit
    _waiting: deque[_Place] = field(default_factory=deque)
    _led: bool = False

    async def commit(self, ending: Ending) -> Written:
        """Written whole or not at all; raises what `Store.commit` raises for this ending alone."""
        place = _Place(ending, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        if self._led:
            try:
                written = await place.answer
            except asyncio.CancelledError:
                if place is self._first() and place.answer.done() and not place.answer.cancelled():
                    self._waiting.popleft()  # asked to lead, and cut before it could
                    self._pass_on()
                raise
            if written is not None:
                return written
        self._led = True
        return await self._lead()

    def _first(self) -> _Place | None:
        return self._waiting[0] if self._waiting else None

    async def _lead(self) -> Written:
        mine = self._waiting.popleft()
        group = [mine]
        while self._waiting and len(group) < self.most:
            place = self._waiting.popleft()
            if not place.answer.done():  # else it gave up before anything was written
                group.append(place)
        try:
            [first, *rest] = await self._write(group)
        except BaseException as error:
            why = str(error) or "a commit that was shared was cut"
            for place in group[1:]:
                if not place.answer.done():
                    place.answer.set_exception(StoreError(why))
            raise
        finally:
            self._pass_on()
        for place, written in zip(group[1:], rest, strict=True):
            if place.answer.done():
                continue
            if isinstance(written, Exception):
                place.answer.set_exception(written)
            else:
                place.answer.set_result(written)
        if isinstance(first, Exception):
            raise first
        return first

    async def _write(self, group: Sequence[_Place]) -> Sequence[Written | Exception]:
        """All at once; where one of them is to blame nothing was written, and each goes alone."""
        try:
            return await self.store.commit([place.ending for place in group])
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- one bad neighbour must not take the others along
            if len(group) == 1:
                return [error]
            return [(await self._write([place]))[0] for place in group]

    def _pass_on(self) -> None:
        """The next who waits commits for all who wait then."""
        while self._waiting and self._waiting[0].answer.cancelled():
            self._waiting.popleft()
        self._led = bool(self._waiting)
        if self._waiting and not self._waiting[0].answer.done():
            self._waiting[0].answer.set_result(None)
