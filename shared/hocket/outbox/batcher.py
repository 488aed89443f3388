"""Items that wait a moment for each other, so that they go on together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Hands on what came within `seconds` of the first of them, or `most` of them at once, in order."""

    def __init__(self, seconds: float, most: int, hand: Callable[[Sequence[T]], object]) -> None:
        self._seconds = seconds
        self._most = most
        self._hand = hand
        self._items: list[T] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T) -> None:
        """Let this one wait with the others; needs a running loop."""
        self._items.append(item)
        if len(self._items) >= self._most:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Hand on at once what waits, if anything does."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        items, self._items = self._items, []
        if items:
            self._hand(items)
