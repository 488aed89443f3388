"""Whose turn it is: within a subject the next row waits for the confirm of the one before (RULES 4.2)."""

from collections import deque

from hocket.store.records import OutboxRow, RowKind


class SubjectOrder:
    """Who of each subject is under way, and who waits behind; rows without a subject wait for nobody."""

    def __init__(self) -> None:
        self._holder: dict[str, int] = {}
        self._held: dict[str, deque[OutboxRow]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def may_go(self, row: OutboxRow) -> bool:
        """Whether it may be published now; else it is kept until `ended` gives it back."""
        if row.kind is not RowKind.EVENT or not row.subject:
            return True
        if self._holder.setdefault(row.subject, row.id) == row.id:
            return True
        self._held.setdefault(row.subject, deque()).append(row)
        return False

    def ended(self, row: OutboxRow) -> deque[OutboxRow]:
        """It is confirmed or set aside: those that waited behind it, in order."""
        if row.kind is not RowKind.EVENT or self._holder.get(row.subject) != row.id:
            return deque()
        del self._holder[row.subject]
        return self._held.pop(row.subject, None) or deque()
