"""Computes the state of each step run from receipts: done, unsure, undoing, undone (RULES 5.2). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from hocket.console.facts import Receipt
from hocket.envelope import UNDO_TYPE
from hocket.saga import LedgerState, has_failed

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
    run: str = ""  # "": no receipt names it
    reached: bool = False  # whether a failure found it

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

    @property
    def failed(self) -> bool:
        """Whether its flow has failed by it (RULES 5.8)."""
        return has_failed(LedgerState(self.ledger), reached=self.reached)


def fold_steps(flow: str, receipts: Iterable[Receipt], undone: set[str]) -> tuple[Step, ...]:
    """The step runs of one flow from its receipts, in any order; `undone` are ids of undos that were handled.

    Receipts of failures that found a run of another flow only are none of this flow's runs.
    """
    best: dict[tuple[str, str], tuple[tuple[int, datetime, str], Step]] = {}
    subjects: dict[tuple[str, str], str] = {}
    reached: set[tuple[str, str]] = set()
    for each in receipts:
        ledger = each.ledger
        if each.event.type == UNDO_TYPE and each.event.id in undone:
            ledger = "undone"
        if not each.step or ledger not in _RANK or (each.flows_reached and flow not in each.flows_reached):
            continue
        key = (each.step, each.run or each.subject)
        if each.subscription == each.step:
            subjects[key] = each.subject
        if flow in each.flows_reached:
            reached.add(key)
        rank = (_RANK[ledger], each.time, ledger)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, Step(each.step, each.subject, ledger, each.time, each.run))
    found = [
        replace(step, subject=subjects.get(key, step.subject), reached=key in reached)
        for key, (_, step) in best.items()
    ]
    return tuple(sorted(found, key=lambda step: (step.time, step.name, step.run)))
