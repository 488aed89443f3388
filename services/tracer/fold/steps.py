"""Computes the state of each step from receipts: done, unsure, undoing, undone (RULES 5.2). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hocket.console.facts import Receipt
from hocket.envelope import UNDO_TYPE

#: A step only moves to a higher rank; within one rank the later receipt decides.
_RANK = {
    "tombstone": 0,
    "begun": 1,
    "refused": 2,
    "void": 2,
    "unsure": 2,
    "done": 2,
    "undoing": 3,
    "undone": 4,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step run of a flow: the subscription, its subject, and where the ledger was left."""

    name: str
    subject: str
    ledger: str
    time: datetime  # of the receipt that decides

    @property
    def standing(self) -> bool:
        """Whether its effect has happened, or may have, and is not undone."""
        return self.ledger in {"done", "unsure"}

    @property
    def unsure(self) -> bool:
        """Whether its run was given up and may have had its effect."""
        return self.ledger == "unsure"

    @property
    def undoing(self) -> bool:
        """Whether its undo is under way."""
        return self.ledger == "undoing"

    @property
    def undone(self) -> bool:
        """Whether its undo has been handled."""
        return self.ledger == "undone"


def fold_steps(receipts: Iterable[Receipt], undone: set[str]) -> tuple[Step, ...]:
    """The step runs of one flow from its receipts, in any order; `undone` are ids of undos that were handled."""
    best: dict[tuple[str, str], tuple[tuple[int, datetime, str], Step]] = {}
    for each in receipts:
        ledger = each.ledger
        if each.event.type == UNDO_TYPE and each.event.id in undone:
            ledger = "undone"
        if not each.step or ledger not in _RANK:
            continue
        key = (each.step, each.subject)
        rank = (_RANK[ledger], each.time, ledger)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, Step(each.step, each.subject, ledger, each.time))
    return tuple(step for _, step in sorted(best.values(), key=lambda pair: (pair[1].time, pair[1].name)))
