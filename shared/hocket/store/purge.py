"""Which old rows a purge may remove: both drivers read inbox and ledger in order of their keys, a batch a step.

There is no index on time (RULES 2.7). Inbox keys begin with a coarse time (RULES 2.3), so a purge stops at the first
key that is too young.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hocket.store.records import Before
from hocket.store.renaming import Renamed, renamed_of

#: Seconds that one unit of a key's first bytes stands for, and how many bytes they are.
LEAD_SECONDS = 65.536
LEAD_BYTES = 4
#: Seconds after the horizon from which an event without an inbox row is admitted: clocks of services differ, and a row
#: is kept for longer than its event is taken for new (RULES 2.7).
MARGIN = 3600.0
#: Seconds by which an event's `time` may lie ahead and still lengthen the memory of its inbox row.
FURTHEST_SECONDS = 366 * 86400
#: Seconds after which a step run with nothing left to undo is emptied.
EMPTIED_SECONDS = 86400.0
#: Ledger states that are final.
FINAL_RUNS = ("tombstone", "done", "void", "refused", "undone")
#: The same as a list for SQL.
FINAL_RUNS_SQL = ", ".join(f"'{state}'" for state in FINAL_RUNS)
#: Ledger states in which there is nothing to undo, now or later: input, results and failure are removed after a day.
EMPTIED_RUNS = ("undone", "void", "refused")
EMPTIED_RUNS_SQL = ", ".join(f"'{state}'" for state in EMPTIED_RUNS)


class PurgeCursor(NamedTuple):
    """How far a purge has come: the last key seen of each table, None at the end of the table."""

    inbox: bytes | None
    ledger: bytes | None


START = PurgeCursor(b"", b"")


class Expired(NamedTuple):
    """Keys that may be removed, runs of which nothing is needed but the row, and where the next step begins."""

    inbox: list[bytes]
    ledger: list[bytes]
    emptied: list[bytes]
    renamed: list[Renamed]
    next: PurgeCursor

    @property
    def some(self) -> bool:
        """Whether there is something to do."""
        return bool(self.inbox or self.ledger or self.emptied or self.renamed)


def ceiling(before: Before) -> bytes:
    """A key greater than every key that can be old enough."""
    lead = int(max(before.inbox, before.dead, 0.0) / LEAD_SECONDS) + 1
    most: int = 2 ** (8 * LEAD_BYTES) - 1
    return min(lead, most).to_bytes(LEAD_BYTES, "big")


def expired_of(cursor: PurgeCursor, seen: Sequence[Any], runs: Sequence[Any], before: Before, limit: int) -> Expired:
    """Which of these rows (key, state, updated) may be removed, and where the next step begins.

    Rows of the ledger tell also their step, whether there is something in them to be emptied, and their scope.
    """
    inbox = [bytes(key) for key, state, updated in seen if updated < (before.dead if state == "dead" else before.inbox)]
    ledger = [bytes(run) for run, state, updated, step, _, _ in runs if updated < before.of_run(step, state)]
    emptied = [
        bytes(run)
        for run, state, updated, _, whole, _ in runs
        if whole and state in EMPTIED_RUNS and before.ledger <= updated < before.emptied
    ]
    gone = {*ledger, *emptied}
    named = runs if before.across else ()
    stays = [(run, step, scope) for run, _, _, step, _, scope in named if bytes(run) not in gone]
    renamed = renamed_of(stays, before.across)
    key = bytes(seen[-1][0]) if len(seen) == limit else None
    run = bytes(runs[-1][0]) if len(runs) == limit else None
    after = PurgeCursor(key if cursor.inbox is not None else None, run if cursor.ledger is not None else None)
    return Expired(inbox, ledger, emptied, renamed, START if after == PurgeCursor(None, None) else after)
