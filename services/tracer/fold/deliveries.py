"""Where each subscription stands with each event of one flow, from receipts and expectations. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hocket.console.facts import Receipt
from hocket.envelope import OVERDUE_TYPE, UNDO_TYPE
from services.tracer.fold.expectations import Expected
from services.tracer.read.facts import Said


class Stand(StrEnum):
    """Where one subscription stands with one event."""

    EXPECTED = "expected"  # declared to hear it, no attempt has ended yet
    RETRY = "retry"
    DEFERRED = "deferred"
    HANDLED = "handled"
    DEAD = "dead"
    DISCARDED = "discarded"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OBSOLETE = "obsolete"
    STALE = "stale"
    UNDOING = "undoing"
    UNDONE = "undone"


OPEN = frozenset({Stand.EXPECTED, Stand.RETRY, Stand.DEFERRED, Stand.UNDOING})
#: Outcomes of what is no run: a copy that was refused, a wait, an act at the desk.
_NO_RUN = frozenset({"duplicate", "discarded"})
#: Outcomes that use an attempt.
ATTEMPTS = frozenset({"handled", "retry", "dead", "refused", "obsolete", "stale"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event at one subscription, and everything known of it."""

    subscription: str
    event_id: str
    event_type: str
    subject: str
    stand: Stand
    since: datetime  # since when it is expected, or when its first attempt began
    receipts: tuple[Receipt, ...] = ()  # in order of attempt
    undo_of: str = ""  # the step this subscription undoes
    run: str = ""  # the step run it is about, where a receipt names it

    @property
    def last(self) -> Receipt | None:
        """The receipt that decides its stand."""
        return self.receipts[-1] if self.receipts else None

    @property
    def runs(self) -> tuple[Receipt, ...]:
        """The receipts of real runs; duplicates count only where there are no others."""
        return tuple(each for each in self.receipts if each.outcome not in _NO_RUN) or self.receipts

    @property
    def attempts(self) -> int:
        """How many attempts ended: a refused copy, a deferral and an act at the desk are none."""
        return sum(each.outcome in ATTEMPTS for each in self.receipts)

    @property
    def took(self) -> float:
        """Seconds from the start of its first attempt to the end of its last."""
        return (self.runs[-1].over - self.runs[0].begun).total_seconds() if self.receipts else 0.0

    @property
    def open(self) -> bool:
        """Whether it will go on without a person."""
        return self.stand in OPEN

    @property
    def open_since(self) -> datetime:
        """Since when it has been open: where it was replayed, since the first attempt after its last death."""
        after = self.receipts
        for at, each in enumerate(self.receipts):
            if each.outcome == "dead":
                after = self.receipts[at + 1 :]
        return after[0].begun if after and after != self.receipts else self.since

    @property
    def given_up(self) -> bool:
        """Whether it is dead and `on_dead` said nothing in its place (RULES 5.5)."""
        return self.stand is Stand.DEAD and not (self.last and self.last.said)

    @property
    def overdue(self) -> bool:
        """Whether it is the alarm of a time-out."""
        return self.event_type == OVERDUE_TYPE

    @property
    def service(self) -> str:
        """The service of the subscription."""
        return self.subscription.partition(".")[0]


def deliveries_of(
    flow: str, said: Sequence[Said], receipts: Sequence[Receipt], reached_by: Sequence[Receipt], expected: Expected
) -> tuple[Delivery, ...]:
    """Every event of a flow at each subscription, by time.

    `reached_by` are receipts of failures of other flows: of them only the undo counts that they ordered here.
    """
    about = {each.id: each for each in said}
    since: dict[tuple[str, str], datetime] = {}
    undo_of: dict[tuple[str, str], str] = {}
    kind: dict[tuple[str, str], tuple[str, str]] = {}
    mine: dict[tuple[str, str], list[Receipt]] = {}
    run: dict[tuple[str, str], str] = {}
    for event in said:
        for hearer in expected.get(event.name, ()):
            if hearer.holds(event.time):
                since[hearer.subscription, event.id] = event.time
                kind[hearer.subscription, event.id] = (event.type, event.subject)
    for receipt in (*receipts, *reached_by):
        if receipt.step and receipt.step != receipt.subscription and receipt.event.type != UNDO_TYPE:
            for undo in receipt.said if flow in (receipt.flows_reached or (flow,)) else ():
                begun = (receipt.subscription, undo)  # an undo heard a failure and ordered its undo
                undo_of.setdefault(begun, receipt.step)
                kind.setdefault(begun, (UNDO_TYPE, receipt.subject))
                run.setdefault(begun, receipt.run)
                since[begun] = min(receipt.over, since.get(begun, receipt.over))
        if receipt.correlationid != flow:
            continue
        key = (receipt.subscription, receipt.event.id)
        run[key] = receipt.run or run.get(key, "")
        mine.setdefault(key, []).append(receipt)
        kind[key] = (receipt.event.type, receipt.subject)
        start = about[receipt.event.id].time if receipt.event.id in about else receipt.begun
        since[key] = min(start, since.get(key, start))
        if receipt.event.type == UNDO_TYPE and receipt.step:  # a discard is the desk's, which knows no step
            undo_of[key] = receipt.step
    made = [
        Delivery(
            subscription=key[0], event_id=key[1], event_type=kind[key][0], subject=kind[key][1],
            stand=_stand(mine.get(key, []), undo=key in undo_of), since=since[key],
            receipts=tuple(mine.get(key, ())), undo_of=undo_of.get(key, ""), run=run.get(key, ""),
        )
        for key in since
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda each: (each.since, each.subscription, each.event_id)))


def _stand(receipts: Sequence[Receipt], *, undo: bool) -> Stand:
    """Where a delivery stands by its receipts, which are in order."""
    if not receipts:
        return Stand.UNDOING if undo else Stand.EXPECTED
    last = receipts[-1]
    word = last.outcome
    if word == "duplicate":
        word = "dead" if last.first == "dead" else "handled" if undo else "duplicate"
    if not undo:
        return Stand(word)
    ends = {"handled": Stand.UNDONE, "dead": Stand.DEAD, "discarded": Stand.DISCARDED, "obsolete": Stand.OBSOLETE}
    return ends.get(word, Stand.UNDOING)
