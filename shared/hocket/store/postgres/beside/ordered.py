# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The tokens and lines of ordered subscriptions on PostgreSQL, for a whole group at once (RULES 9.1, 9.4, 9.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from hocket.store.ordering.lines import Lines, Slot, line_of, slot_of
from hocket.store.ordering.sql import LINE_COLUMNS, PARKED_COLUMNS, PARKED_NAMES, parked_row, parked_values
from hocket.store.postgres.sql import NOW
from hocket.store.records import Ending, LineChange, OrderedWrite, OutboxRow

#: Holds the tokens until the end: whoever takes the next one waits for this commit, and finds what it wrote.
_TAKEN = """SELECT subscription, token FROM hocket_order WHERE subscription = ANY($1::text[])
ORDER BY subscription FOR SHARE"""
_SLOTS = "unnest($1::text[], $2::text[]) AS s(subscription, subject)"
#: A line that is not there cannot be locked: its place is taken until the end, and nobody begins it meanwhile.
_TAKE = f"""INSERT INTO hocket_lines ({LINE_COLUMNS}) SELECT subscription, subject, ''::bytea, '', 0, 0 FROM {_SLOTS}
ORDER BY subscription, subject ON CONFLICT DO NOTHING"""
_HOLD = f"""SELECT {", ".join(f"l.{name}" for name in LINE_COLUMNS.split(", "))} FROM hocket_lines l
JOIN {_SLOTS} ON s.subscription = l.subscription AND s.subject = l.subject
ORDER BY l.subscription, l.subject FOR UPDATE OF l"""
_FIRST = f"""SELECT p.* FROM {_SLOTS} CROSS JOIN LATERAL (SELECT {PARKED_COLUMNS} FROM hocket_parked p
WHERE p.subscription = s.subscription AND p.subject = s.subject AND p.place >= 0 ORDER BY p.place LIMIT 1) p"""
_KEYS = "unnest($1::text[], $2::bytea[]) AS s(subscription, key)"
_KNOWN = f"""SELECT p.subscription, p.key FROM hocket_parked p
JOIN {_KEYS} ON s.subscription = p.subscription AND s.key = p.key"""
_ENDED = "SELECT key FROM hocket_inbox WHERE key = ANY($1::bytea[]) AND state IN ('handled', 'refused')"
_PUT = f"""INSERT INTO hocket_lines ({LINE_COLUMNS}) SELECT subscription, subject, head, death, waiting,
CASE WHEN since > 0 THEN since ELSE {NOW} END
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::float8[])
AS n(subscription, subject, head, death, waiting, since) ORDER BY subscription, subject
ON CONFLICT (subscription, subject) DO UPDATE SET head = excluded.head, death = excluded.death,
waiting = excluded.waiting, since = excluded.since"""
_END = f"""DELETE FROM hocket_lines l USING {_SLOTS} WHERE s.subscription = l.subscription AND s.subject = l.subject"""
_KINDS = (
    "text", "bytea", "text", "bigint", "text", "text", "text", "bytea", "text", "text", "text", "text", "text", "float8"
)  # fmt: skip
_PARK = f"""INSERT INTO hocket_parked ({PARKED_COLUMNS})
SELECT * FROM unnest({", ".join(f"${at}::{kind}[]" for at, kind in enumerate(_KINDS, 1))})"""
_SENT = f"DELETE FROM hocket_parked p USING {_KEYS} WHERE s.subscription = p.subscription AND s.key = p.key"


@dataclass(slots=True)
class OrderedGroup:
    """The ordered endings of one group: who has lost before anything is written, and what the others change."""

    asked: dict[int, OrderedWrite]
    lost: set[int] = field(default_factory=set)
    lines: Lines | None = None
    planned: dict[int, OutboxRow] = field(default_factory=dict)
    _taken: list[Slot] = field(default_factory=list)

    @classmethod
    async def of(cls, connection: asyncpg.Connection, endings: Sequence[Ending]) -> "OrderedGroup":
        """Check the tokens, and lock the lines that change."""
        group = cls({at: ending.ordered for at, ending in enumerate(endings) if ending.ordered is not None})
        if not group.asked:
            return group
        subscriptions = sorted({each.subscription for each in group.asked.values()})
        tokens = {row["subscription"]: row["token"] for row in await connection.fetch(_TAKEN, subscriptions)}
        group.lost = {at for at, each in group.asked.items() if tokens.get(each.subscription) != each.token}
        changing = [
            (at, each)
            for at, each in group.asked.items()
            if at not in group.lost and each.change is not LineChange.NONE
        ]
        if changing:
            await group.lock(connection, [each for _, each in changing])
            assert group.lines is not None
            beaten, group.planned = group.lines.plan(changing)
            group.lost |= beaten
        return group

    async def lock(self, connection: asyncpg.Connection, writes: Sequence[OrderedWrite]) -> None:
        """Lock the lines that these change, and read what they hold."""
        self._taken = sorted({slot_of(each) for each in writes})
        await connection.execute(_TAKE, *_columns(self._taken))
        found = [line_of(row) for row in await connection.fetch(_HOLD, *_columns(self._taken))]
        ends = sorted({slot_of(each) for each in writes if each.change is LineChange.RELEASE})
        first = dict(map(parked_row, await connection.fetch(_FIRST, *_columns(ends)))) if ends else {}
        parks = [each for each in writes if each.change is LineChange.PARK]
        keys = [(each.subscription, each.key) for each in parks]
        known = {tuple(row) for row in await connection.fetch(_KNOWN, *_columns(keys))} if keys else set()
        heads = [each.behind for each in parks if each.behind]
        ended = {row["key"] for row in await connection.fetch(_ENDED, heads)} if heads else set()
        self.lines = Lines(
            {slot: line for slot, line in found if line.head},
            first,
            frozenset((str(subscription), bytes(key)) for subscription, key in known),
            frozenset(ended),
        )

    def sends(self, at: int) -> tuple[OutboxRow, ...]:
        """The next of the line, where this ending releases it."""
        row = self.planned.get(at)
        return (row,) if row is not None else ()

    async def change(self, connection: asyncpg.Connection, won: Sequence[int]) -> None:
        """Write what those that have won change; places that were taken for nothing are free again."""
        lines = self.lines
        if lines is None:
            return
        lines.won(self.asked[at] for at in won if at in self.asked)
        free = [slot for slot in self._taken if slot not in lines.lines]
        if free:
            await connection.execute(_END, *_columns(free))
        if kept := lines.kept:
            await connection.execute(_PUT, *_columns([(*slot, *line) for slot, line in kept], 6))
        if lines.sent:
            await connection.execute(_SENT, *_columns(lines.sent))
        if lines.parked:
            await connection.execute(
                _PARK, *_columns([parked_values(each) for each in lines.parked], len(PARKED_NAMES))
            )


def _columns(rows: Sequence[tuple[object, ...]], width: int = 2) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
