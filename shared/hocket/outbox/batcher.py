"""Collects items for a short time and passes them on as one batch."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Passes items to `flushed`, in order: `seconds` after the first of them, or as soon as there are `most`."""

    def __init__(self, seconds: float, most: int, flushed: Callable[[Sequence[T]], object]) -> None:
        self._seconds = seconds
        self._most = most
        self._flushed = flushed
        self._items: list[T] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T) -> None:
        """Add an item to the batch; needs a running loop."""
        self._items.append(item)
        if len(self._items) >= self._most:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Pass on at once the items that wait, if there are any."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        items, self._items = self._items, []
        if items:
            self._flushed(items)
