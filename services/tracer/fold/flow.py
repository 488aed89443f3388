"""Computes the state of one flow from the set of its facts; their order does not matter (RULES 7.4). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hocket.console.facts import Receipt
from hocket.envelope import UNDO_TYPE
from services.tracer.fold.expectations import Expected
from services.tracer.fold.steps import Step, fold_steps
from services.tracer.read.facts import Said


class FlowState(StrEnum):
    """Where a flow stands (docs/console.md §4); stuck and incomplete are not built yet.

    A zombie is a flow with a step whose effect stands although a failure reached it, while its undo is dead or nothing
    undoes it. A dead letter that no failure follows is `failed`: somebody's work, no zombie.
    """

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    COMPENSATED = "compensated"
    FAILED = "failed"
    ZOMBIE = "zombie"
    DISCARDED = "discarded"  # ended, and a person settled a dead letter by hand: nothing of it is done any more


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
    UNDOING = "undoing"
    UNDONE = "undone"


OPEN = frozenset({Stand.EXPECTED, Stand.RETRY, Stand.DEFERRED, Stand.UNDOING})
#: Of several receipts of one attempt the one with the highest rank decides.
_RANK = {
    "duplicate": 0, "deferred": 1, "retry": 2, "refused": 3, "dead": 4, "discarded": 5, "obsolete": 6, "handled": 7,
}  # fmt: skip
#: Outcomes of what is no run: a copy that was refused, a wait, an act at the desk.
_NO_RUN = frozenset({"duplicate", "discarded"})
#: Outcomes that use an attempt.
ATTEMPTS = frozenset({"handled", "retry", "dead", "refused", "obsolete"})


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
    def given_up(self) -> bool:
        """Whether it is dead and `on_dead` said nothing in its place (RULES 5.5)."""
        return self.stand is Stand.DEAD and not (self.last and self.last.said)

    @property
    def service(self) -> str:
        """The service of the subscription."""
        return self.subscription.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Flow:
    """Everything with one correlation id, folded."""

    id: str
    state: FlowState
    events: tuple[Said, ...]  # by time
    deliveries: tuple[Delivery, ...]  # by time
    steps: tuple[Step, ...]
    unheard: frozenset[str]  # ids of events that nobody is expected to hear and nobody heard
    coming: frozenset[str]  # ids of events that a receipt names as said and that are not in the log yet
    zombies: tuple[Step, ...] = ()
    left_out: int = 0  # facts that were not read, since there are too many

    @property
    def subject(self) -> str:
        """What the flow is about: the subject of its first event."""
        if self.events:
            return self.events[0].subject
        return next((each.subject for each in self.deliveries if each.subject), "")

    @property
    def type(self) -> str:
        """The kind of flow: the type of its first event."""
        return self.events[0].type if self.events else ""

    @property
    def began(self) -> datetime | None:
        """The moment of the first fact."""
        moments = [each.time for each in self.events[:1]] + [each.since for each in self.deliveries[:1]]
        return min(moments, default=None)

    @property
    def ended(self) -> datetime | None:
        """The moment of the last fact; a copy that came late and was refused is none."""
        moments = [each.time for each in self.events]
        moments += [receipt.over for each in self.deliveries for receipt in each.runs]
        return max(moments, default=None)

    @property
    def attempts(self) -> int:
        """How many attempts ended."""
        return sum(each.attempts for each in self.deliveries)

    @property
    def waiting(self) -> tuple[Delivery, ...]:
        """Deliveries that are open, the oldest first."""
        return tuple(each for each in self.deliveries if each.open)

    @property
    def dead(self) -> tuple[Delivery, ...]:
        """Deliveries that were given up and wait for a person."""
        return tuple(each for each in self.deliveries if each.given_up)

    @property
    def discarded(self) -> tuple[Delivery, ...]:
        """Deliveries that were given up and that a person settled by hand."""
        return tuple(each for each in self.deliveries if each.stand is Stand.DISCARDED)


def fold(
    flow: str, events: Iterable[Said], receipts: Iterable[Receipt], expected: Expected, at: datetime | None = None, *,
    left_out: int = 0,
) -> Flow:  # fmt: skip
    """The state of `flow` from its facts, given in any order and any number of times.

    With `at` nothing later than that moment counts: facts carry their own time. `left_out` facts were not read.
    """
    said = _distinct(each for each in events if at is None or each.time <= at)
    told: dict[tuple[object, ...], Receipt] = {}
    for each in sorted(receipts, key=_order):
        if at is None or each.time <= at:
            told.setdefault(each.key, each)
    kept = list(told.values())
    deliveries = _deliveries(said, kept, expected)
    steps = fold_steps(kept, {each.event_id for each in deliveries if each.undo_of and each.stand is Stand.UNDONE})
    known = {each.id for each in said} | {each.event_id for each in deliveries if each.event_type == UNDO_TYPE}
    coming = frozenset(id for each in kept for id in each.said if id not in known)
    zombies = tuple(each for each in steps if _stands(each, said, deliveries, expected))
    heard = {each.event_id for each in deliveries}
    return Flow(
        id=flow,
        state=_state(deliveries, steps, zombies, coming),
        events=said,
        deliveries=deliveries,
        steps=steps,
        unheard=frozenset(each.id for each in said if each.id not in heard),
        coming=coming,
        zombies=zombies,
        left_out=left_out,
    )


def _distinct(events: Iterable[Said]) -> tuple[Said, ...]:
    """One of each identity (RULES 1.7), in order of time."""
    found: dict[tuple[str, str], Said] = {}
    for each in sorted(events, key=lambda one: (one.time, one.id, one.source, one.type, one.version, one.subject)):
        found.setdefault((each.source, each.id), each)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A receipt compared by all that it says. Its JSON is made only where everything before it is equal: it is dear."""

    receipt: Receipt

    def __lt__(self, other: "_Whole") -> bool:
        return self.receipt.model_dump_json() < other.receipt.model_dump_json()


def _order(receipt: Receipt) -> tuple[bool, int, int, datetime, _Whole]:
    """By attempt; duplicates come first, so that one decides only where there is no other receipt."""
    first = receipt.outcome != "duplicate"
    return first, receipt.attempt, _RANK[receipt.outcome], receipt.time, _Whole(receipt)


def _deliveries(said: tuple[Said, ...], receipts: list[Receipt], expected: Expected) -> tuple[Delivery, ...]:
    about = {each.id: each for each in said}
    since: dict[tuple[str, str], datetime] = {}
    undo_of: dict[tuple[str, str], str] = {}
    kind: dict[tuple[str, str], tuple[str, str]] = {}
    mine: dict[tuple[str, str], list[Receipt]] = {}
    for event in said:
        for hearer in expected.get(event.name, ()):
            if hearer.holds(event.time):
                since[hearer.subscription, event.id] = event.time
                kind[hearer.subscription, event.id] = (event.type, event.subject)
    for receipt in receipts:
        key = (receipt.subscription, receipt.event.id)
        mine.setdefault(key, []).append(receipt)
        kind[key] = (receipt.event.type, receipt.subject)
        start = about[receipt.event.id].time if receipt.event.id in about else receipt.begun
        since[key] = min(start, since.get(key, start))
        if receipt.event.type == UNDO_TYPE:
            undo_of[key] = receipt.step
        elif receipt.step and receipt.step != receipt.subscription:  # an undo heard a failure and wrote its undo
            for undo in receipt.said:
                begun = (receipt.subscription, undo)
                undo_of.setdefault(begun, receipt.step)
                kind.setdefault(begun, (UNDO_TYPE, receipt.subject))
                since[begun] = min(receipt.over, since.get(begun, receipt.over))
    made = [
        Delivery(
            subscription=key[0], event_id=key[1], event_type=kind[key][0], subject=kind[key][1],
            stand=_stand(mine.get(key, []), undo=key in undo_of), since=since[key],
            receipts=tuple(mine.get(key, ())), undo_of=undo_of.get(key, ""),
        )
        for key in since
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda each: (each.since, each.subscription, each.event_id)))


def _stand(receipts: list[Receipt], *, undo: bool) -> Stand:
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


def _stands(step: Step, said: tuple[Said, ...], deliveries: tuple[Delivery, ...], expected: Expected) -> bool:
    """Whether a step's effect stands although a failure reached it, and nothing is under way to undo it."""
    undos = [each for each in deliveries if each.undo_of == step.name and each.subject == step.subject]
    if any(each.stand is Stand.DEAD for each in undos):
        return True
    if not step.standing or any(each.open or each.stand is Stand.DISCARDED for each in undos):
        return False
    failures = {
        each.id: hearer.subscription
        for each in said
        if each.subject == step.subject
        for hearer in expected.get(each.name, ())
        if hearer.undo_of == step.name and hearer.holds(each.time)
    }
    hearing = [each for each in deliveries if failures.get(each.event_id) == each.subscription]
    return bool(hearing) and not any(each.open or each.stand is Stand.DISCARDED for each in hearing)


def _state(
    deliveries: tuple[Delivery, ...], steps: tuple[Step, ...], zombies: tuple[Step, ...], coming: frozenset[str]
) -> FlowState:
    if zombies:
        return FlowState.ZOMBIE
    still = [each.stand for each in deliveries if each.open]
    settled = {each.undo_of for each in deliveries if each.stand is Stand.DISCARDED}
    if still or coming or any(each.undoing and each.name not in settled for each in steps):
        timed = {Stand.RETRY, Stand.DEFERRED}
        return FlowState.WAITING if still and not coming and timed.issuperset(still) else FlowState.RUNNING
    if any(each.undone for each in steps):
        return FlowState.COMPENSATED
    if any(each.given_up for each in deliveries):
        return FlowState.FAILED
    if any(each.stand is Stand.DISCARDED for each in deliveries):
        return FlowState.DISCARDED
    return FlowState.DONE
