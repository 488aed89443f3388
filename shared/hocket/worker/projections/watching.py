"""Ends a watch that the process which began it has left behind (RULES 14.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, serving, unwatched
from hocket.runtime import Runtime

#: Seconds for which one watch may stand, as this process has seen it: far longer than a comparison takes.
WATCH_SECONDS = 1800.0


@dataclass(slots=True)
class Watches:
    """Looks at the watches of one service's projections."""

    runtime: Runtime
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)  # by projection: the watch, and since when

    async def look(self, found: Mapping[str, Sequence[Generation]]) -> None:
        """End each watch that has stood for `WATCH_SECONDS`: its process is gone, and each commit would note a fact.

        Who still compares finds its watch ended, and begins anew. Raises `StoreError`.
        """
        now = self.runtime.clock.monotonic()
        for name, every in found.items():
            old = serving(every)
            number = 0 if old is None else old.watched
            if number <= 0:
                self._seen.pop(name, None)
                continue
            seen, since = self._seen.get(name, (0, now))
            if seen != number:
                self._seen[name] = (number, now)
            elif now - since >= WATCH_SECONDS:
                await self._end(name, number)

    async def _end(self, name: str, number: int) -> None:
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            every = await rows.rows_of(db, name, lock=True)
            old = serving(every)
            if old is not None and old.watched == number:
                await rows.write(db, every, [unwatched(old)], 0.0)
                await rows.forget_fresh(db, name)
        self._seen.pop(name, None)
