"""What of the log is in hand: the lowest offset that is not finished, and the mark of what stands before it. Pure."""

from collections import deque


class Window:
    """The messages from the lowest unfinished one to the last that was taken, in the order of the log."""

    def __init__(self, next: int, mark: str) -> None:
        self.low = next
        self.mark = mark  # of the message before `low`
        self.events = 0  # finished since `taken_off`
        self._next = next  # what was not taken yet
        self._messages: deque[tuple[int, str, bool]] = deque()  # offset, mark, whether it is heard
        self._open: set[int] = set()
        self.heard = 0  # of those in it

    @property
    def next(self) -> int:
        """The first offset that was not taken."""
        return self._next

    @property
    def open(self) -> int:
        """How many heard ones are not finished."""
        return len(self._open)

    def __len__(self) -> int:
        return len(self._messages)

    def take(self, offset: int, mark: str, *, heard: bool) -> None:
        """The next message of the log; what is not heard is finished at once."""
        self._messages.append((offset, mark, heard))
        self._next = offset + 1
        if heard:
            self._open.add(offset)
            self.heard += 1
        else:
            self._move()

    def skip_to(self, offset: int) -> None:
        """The log has no message before this one that was not taken."""
        self._next = offset

    def finished(self, offset: int) -> None:
        """This one is committed."""
        if offset in self._open:
            self._open.discard(offset)
            self.events += 1
            self._move()

    def taken_off(self) -> int:
        """How many events were finished since the last call."""
        events, self.events = self.events, 0
        return events

    def _move(self) -> None:
        while self._messages and self._messages[0][0] not in self._open:
            offset, self.mark, heard = self._messages.popleft()
            self.low = offset + 1
            self.heard -= heard
