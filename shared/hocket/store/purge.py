"""A walk along the keys of inbox and ledger, in steps: no index on time is kept up for it (RULES 2.7).

Inbox keys are led by coarse time (RULES 2.3), so a walk ends where the keys of the retention begin.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hocket.store.records import Before

#: Seconds that one step of a key's lead stands for, and the bytes of the lead.
LEAD_SECONDS = 65.536
LEAD_BYTES = 4
#: Ledger states that nothing follows any more.
FINAL_RUNS = ("tombstone", "done", "void", "refused", "undone")
#: The same as a list for SQL.
FINAL_RUNS_SQL = ", ".join(f"'{state}'" for state in FINAL_RUNS)


class PurgeCursor(NamedTuple):
    """How far it has come: the last key seen of each table, None at its end."""

    inbox: bytes | None
    ledger: str | None


START = PurgeCursor(b"", "")


class Expired(NamedTuple):
    """Keys that may go, and where the walk goes on."""

    inbox: list[bytes]
    ledger: list[str]
    walk: PurgeCursor


def ceiling(before: Before) -> bytes:
    """A key behind all that can be old."""
    lead = int(max(before.inbox, before.dead, 0.0) / LEAD_SECONDS) + 1
    most: int = 2 ** (8 * LEAD_BYTES) - 1
    return min(lead, most).to_bytes(LEAD_BYTES, "big")


def sift(walk: PurgeCursor, seen: Sequence[Any], runs: Sequence[Any], before: Before, limit: int) -> Expired:
    """Which of these (key, state, updated) may go, and whether there are more behind them."""
    inbox = [bytes(key) for key, state, updated in seen if updated < (before.dead if state == "dead" else before.inbox)]
    ledger = [run for run, _, updated in runs if updated < before.ledger]
    key = bytes(seen[-1][0]) if len(seen) == limit else None
    run = runs[-1][0] if len(runs) == limit else None
    after = PurgeCursor(key if walk.inbox is not None else None, run if walk.ledger is not None else None)
    return Expired(inbox, ledger, START if after == PurgeCursor(None, None) else after)
