"""Computes the state of one flow from the set of its facts; their order does not matter (RULES 7.4). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from hocket.console.facts import Receipt
from hocket.envelope import UNDO_TYPE
from hocket.saga import Standing, standing
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.deliveries import Delivery, Stand, deliveries_of
from services.tracer.fold.expectations import Expected
from services.tracer.fold.steps import Step, fold_steps
from services.tracer.fold.timeouts import TimeOut, timeouts_of
from services.tracer.fold.zombies import turns_at, zombies_of
from services.tracer.read.facts import Said

#: A flow of which nothing is known beyond its own facts.
_NOTHING = Beyond()
#: Of several receipts of one attempt the one with the highest rank decides.
_RANK = {
    "duplicate": 0, "deferred": 1, "retry": 2, "refused": 3, "dead": 4, "discarded": 5, "obsolete": 6, "stale": 7,
    "handled": 8,
}  # fmt: skip


class FlowState(StrEnum):
    """Where a flow stands (docs/console.md §4); stuck and incomplete are not built yet.

    `hocket.saga.standing` says what is a zombie, an open letter and failed (RULES 5.8). A flow that has failed and is
    none of the others is `failed` where nothing had to be undone, else `compensated`. One of which only a time-out is
    armed is `waiting`: for that time-out.
    """

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    COMPENSATED = "compensated"
    FAILED = "failed"
    OPEN_LETTER = "open-letter"  # a delivery was given up, and no failure follows: somebody's work, no zombie
    ZOMBIE = "zombie"
    DISCARDED = "discarded"  # ended, and a person settled a dead letter by hand: nothing of it is done any more


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
    reached: tuple[Receipt, ...] = ()  # of its failures, where they found a step run, also of other flows, or none
    reached_by: tuple[Receipt, ...] = ()  # of failures of other flows that found a step run of this one
    turns: datetime | None = None  # when it becomes a zombie if nothing more is heard of an undo
    timeouts: tuple[TimeOut, ...] = ()  # the first armed first
    answers_elsewhere: tuple[Receipt, ...] = ()  # of what answered or armed anew a time-out of another flow
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
    def failed(self) -> bool:
        """Whether a failure reached a step of it, or `on_dead` spoke for one (RULES 5.8)."""
        return any(each.failed for each in self.steps)

    @property
    def attempts(self) -> int:
        """How many attempts ended."""
        return sum(each.attempts for each in self.deliveries)

    @property
    def waiting(self) -> tuple[Delivery, ...]:
        """Deliveries that are open, the oldest first."""
        return tuple(each for each in self.deliveries if each.open)

    @property
    def armed(self) -> tuple[TimeOut, ...]:
        """Time-outs that are armed and not decided, the next due first."""
        return tuple(sorted((each for each in self.timeouts if each.open), key=lambda each: each.due or each.since))

    @property
    def going(self) -> bool:
        """Whether it will go on without a person: a delivery is open, or a time-out is armed."""
        return bool(self.waiting or self.armed)

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
    left_out: int = 0, beyond: Beyond = _NOTHING,
) -> Flow:  # fmt: skip
    """The state of `flow` from its facts, given in any order and any number of times.

    With `at` nothing later than that moment counts: facts carry their own time. `left_out` facts were not read. At the
    moment of `beyond` an undo may be late (RULES 5.8); with `at` it is that one.
    """
    if at is not None:
        known = [each for each in beyond.reached_by if each.time <= at]
        beyond = replace(beyond, reached_by=known, now=at)
    said = _distinct(each for each in events if at is None or each.time <= at)
    kept = _as_first(_told(each for each in receipts if at is None or each.time <= at))
    across = _told(beyond.reached_by)
    foreign = tuple(each for each in across if each.timer is None)
    timeouts = timeouts_of(flow, kept, (each for each in across if each.timer is not None))
    deliveries = deliveries_of(flow, said, kept, foreign, expected)
    undone = {each.event_id for each in deliveries if each.undo_of and each.stand is Stand.UNDONE}
    steps = fold_steps(flow, (*kept, *foreign), undone)
    known_ids = {each.id for each in said} | {each.event_id for each in deliveries if each.event_type == UNDO_TYPE}
    here = [each for each in kept if not each.flows_reached or flow in each.flows_reached]
    coming = frozenset(id for each in here for id in each.said if id not in known_ids)
    zombies = zombies_of(steps, said, deliveries, expected, beyond)
    heard = {each.event_id for each in deliveries}
    return Flow(
        id=flow,
        state=_state(deliveries, steps, zombies, coming, waits=any(each.open for each in timeouts)),
        events=said,
        deliveries=deliveries,
        steps=steps,
        unheard=frozenset(each.id for each in said if each.id not in heard),
        coming=coming,
        zombies=zombies,
        reached=tuple(each for each in kept if each.reached and each.outcome != "duplicate"),
        reached_by=foreign,
        turns=turns_at(steps, said, deliveries, expected, beyond),
        timeouts=timeouts,
        answers_elsewhere=tuple(each for each in kept if each.timer is not None and each.timer.flow not in {"", flow}),
        left_out=left_out,
    )


def _told(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """One of each receipt, by attempt."""
    told: dict[tuple[object, ...], Receipt] = {}
    for each in sorted(receipts, key=_order):
        told.setdefault(each.key, each)
    return tuple(told.values())


def _as_first(receipts: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
    """Refused copies of a failure reach what its first delivery reached: they tell what that said, not where."""
    reached = {(each.subscription, each.event.id): each.reached for each in receipts if each.reached}
    return tuple(
        each.model_copy(update={"reached": reached.get((each.subscription, each.event.id), ())})
        if each.outcome == "duplicate" and not each.reached
        else each
        for each in receipts
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


def _state(
    deliveries: tuple[Delivery, ...], steps: tuple[Step, ...], zombies: tuple[Step, ...], coming: frozenset[str], *,
    waits: bool,
) -> FlowState:  # fmt: skip
    if zombies:
        return FlowState.ZOMBIE
    still = [each.stand for each in deliveries if each.open]
    settled = {each.undo_of for each in deliveries if each.stand is Stand.DISCARDED}
    if still or coming or any(each.undoing and each.name not in settled for each in steps):
        timed = {Stand.RETRY, Stand.DEFERRED}
        return FlowState.WAITING if still and not coming and timed.issuperset(still) else FlowState.RUNNING
    if waits:
        return FlowState.WAITING
    if any(each.undone for each in steps):
        return FlowState.COMPENSATED
    if any(standing(None, letter=each.given_up) is Standing.OPEN_LETTER for each in deliveries):
        return FlowState.OPEN_LETTER
    if any(each.stand is Stand.DISCARDED for each in deliveries):
        return FlowState.DISCARDED
    return FlowState.FAILED if any(each.failed for each in steps) else FlowState.DONE
