# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The tokens and lines of ordered subscriptions on SQLite, for a whole group at once (RULES 9.1, 9.4, 9.5)."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from hocket.store.ordering.lines import Line, Lines, Slot, line_of, slot_of
from hocket.store.ordering.sql import LINE_COLUMNS, LINE_NAMES, PARKED_COLUMNS, PARKED_NAMES, parked_row, parked_values
from hocket.store.records import Ending, LineChange, OrderedWrite, OutboxRow

_TAKEN = "SELECT token FROM hocket_order WHERE subscription = ?"
_LINE = f"SELECT {LINE_COLUMNS} FROM hocket_lines WHERE subscription = ? AND subject = ?"
_FIRST = f"""SELECT {PARKED_COLUMNS} FROM hocket_parked
WHERE subscription = ? AND subject = ? AND place >= 0 ORDER BY place LIMIT 1"""
_KNOWN = "SELECT 1 FROM hocket_parked WHERE subscription = ? AND key = ?"
_ENDED = "SELECT 1 FROM hocket_inbox WHERE key = ? AND state IN ('handled', 'refused')"
_PUT = f"INSERT OR REPLACE INTO hocket_lines ({LINE_COLUMNS}) VALUES ({', '.join('?' * len(LINE_NAMES))})"
_END = "DELETE FROM hocket_lines WHERE subscription = ? AND subject = ?"
_PARK = f"INSERT INTO hocket_parked ({PARKED_COLUMNS}) VALUES ({', '.join('?' * len(PARKED_NAMES))})"
_SENT = "DELETE FROM hocket_parked WHERE subscription = ? AND key = ?"


@dataclass(slots=True)
class OrderedGroup:
    """The ordered endings of one group: who has lost before anything is written, and what the others change."""

    asked: dict[int, OrderedWrite]
    lost: set[int] = field(default_factory=set)
    lines: Lines | None = None
    planned: dict[int, OutboxRow] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sqlite3.Connection, endings: Sequence[Ending]) -> "OrderedGroup":
        """Check the tokens, and read the lines that change; nobody else writes meanwhile."""
        group = cls({at: ending.ordered for at, ending in enumerate(endings) if ending.ordered is not None})
        tokens = {
            each: connection.execute(_TAKEN, (each,)).fetchone()
            for each in {write.subscription for write in group.asked.values()}
        }
        group.lost = {at for at, each in group.asked.items() if tokens[each.subscription] != (each.token,)}
        changing = [
            (at, each)
            for at, each in group.asked.items()
            if at not in group.lost and each.change is not LineChange.NONE
        ]
        if changing:
            lines = group.lines = _lines(connection, [each for _, each in changing])
            beaten, group.planned = lines.plan(changing)
            group.lost |= beaten
        return group

    def sends(self, at: int) -> tuple[OutboxRow, ...]:
        """The next of the line, where this ending releases it."""
        row = self.planned.get(at)
        return (row,) if row is not None else ()

    def change(self, connection: sqlite3.Connection, won: Sequence[int], now: float) -> None:
        """Write what those that have won change."""
        lines = self.lines
        if lines is None:
            return
        lines.won(self.asked[at] for at in won if at in self.asked)
        for slot in lines.gone:
            connection.execute(_END, slot)
        for slot, line in lines.kept:
            connection.execute(_PUT, (*slot, *line._replace(since=line.since or now)))
        for sent in lines.sent:
            connection.execute(_SENT, sent)
        for each in lines.parked:
            connection.execute(_PARK, parked_values(each))


def _lines(connection: sqlite3.Connection, writes: Sequence[OrderedWrite]) -> Lines:
    found: dict[Slot, Line] = {}
    first: dict[Slot, OutboxRow] = {}
    for slot in {slot_of(each) for each in writes}:
        if row := connection.execute(_LINE, slot).fetchone():
            found.update([line_of(row)])
    for slot in {slot_of(each) for each in writes if each.change is LineChange.RELEASE}:
        if row := connection.execute(_FIRST, slot).fetchone():
            first.update([parked_row(row)])
    parks = [each for each in writes if each.change is LineChange.PARK]
    keys = [(each.subscription, each.key) for each in parks]
    known = [key for key in keys if connection.execute(_KNOWN, key).fetchone()]
    heads = [each.behind for each in parks if each.behind]
    ended = [head for head in heads if connection.execute(_ENDED, (head,)).fetchone()]
    return Lines(found, first, frozenset(known), frozenset(ended))
