"""The order within a subject: the next row waits for the confirm of the row before (RULES 4.2)."""

from collections import deque

from hocket.store.records import OutboxRow, RowKind


class SubjectOrder:
    """Which row of each subject is in flight, and which wait behind it; rows without a subject never wait."""

    def __init__(self) -> None:
        self._in_flight: dict[str, int] = {}
        self._waiting: dict[str, deque[OutboxRow]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def may_go(self, row: OutboxRow) -> bool:
        """Whether the row may be published now; else it is kept until `ended` returns it."""
        if row.kind is not RowKind.EVENT or not row.subject:
            return True
        if self._in_flight.setdefault(row.subject, row.id) == row.id:
            return True
        self._waiting.setdefault(row.subject, deque()).append(row)
        return False

    def ended(self, row: OutboxRow) -> OutboxRow | None:
        """The row is confirmed or set aside: returns the one that may go next, the others wait behind it."""
        if row.kind is not RowKind.EVENT or self._in_flight.get(row.subject) != row.id:
            return None
        waiting = self._waiting.get(row.subject)
        if waiting is None:
            del self._in_flight[row.subject]
            return None
        following = waiting.popleft()
        if not waiting:
            del self._waiting[row.subject]
        self._in_flight[row.subject] = following.id
        return following
