"""The time-outs of one flow, from receipts of what armed, answered and decided them, in any order (RULES 5.7). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from hocket.console.facts import Receipt
from hocket.envelope import OVERDUE_TYPE


class TimeOutState(StrEnum):
    """Where a time-out stands; that it is due, and called, is a matter of the moment (`TimeOut.word`)."""

    MARK = "mark"  # answered before it was armed
    ARMED = "armed"
    MET = "met"
    FIRED = "fired"
    MOVED = "moved"  # armed anew in another flow, where it goes on


@dataclass(frozen=True, slots=True)
class Period:
    """One period: what armed it, and until when it lasted."""

    n: int
    since: datetime
    due: datetime
    event_id: str
    type: str
    end: datetime | None = None  # when it was answered, decided or begun anew


@dataclass(frozen=True, slots=True)
class Answer:
    """An event that answered it: in time, or `late` by so many seconds."""

    event_id: str
    type: str
    at: datetime
    n: int
    flow: str = ""  # the flow in which it was said, where that is another
    late: float | None = None
    kept: str = ""  # what becomes of a late answer: undone or accepted


@dataclass(frozen=True, slots=True)
class TimeOut:
    """One time-out of a flow, a subscription and a scope."""

    subscription: str
    run: str
    scope: str
    state: TimeOutState
    periods: tuple[Period, ...] = ()
    answers: tuple[Answer, ...] = ()
    fired: datetime | None = None  # when the attempt of its alarm began
    alarm: str = ""  # the event id of the alarm that fired it
    own: tuple[str, ...] = ()  # ids of what it has said itself, and heard: no answers
    moved_to: str = ""  # the flow in which it was armed anew

    @property
    def service(self) -> str:
        """The service whose time-out it is."""
        return self.subscription.partition(".")[0]

    @property
    def open(self) -> bool:
        """Whether it has not been decided yet."""
        return self.state is TimeOutState.ARMED

    @property
    def due(self) -> datetime | None:
        """When its last period is, or was, due."""
        return self.periods[-1].due if self.periods else None

    @property
    def since(self) -> datetime:
        """When it was armed first, or else answered."""
        return self.periods[0].since if self.periods else self.answers[0].at if self.answers else self.fired or _NEVER

    @property
    def met_by(self) -> Answer | None:
        """What answered its last period in time."""
        n = self.periods[-1].n if self.periods else 0
        return next((each for each in self.answers if each.late is None and each.n >= n), None)

    @property
    def late(self) -> tuple[Answer, ...]:
        """Answers that came after it had fired."""
        return tuple(each for each in self.answers if each.late is not None)

    def word(self, now: datetime) -> str:
        """Its state at this moment, by a word of the marks: an armed one whose time is over is `called`."""
        if self.open and self.due is not None and self.due <= now:
            return "called"
        return "late" if self.state is TimeOutState.FIRED and self.late else self.state.value


_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Told:
    """What the receipts about one time-out say."""

    subscription: str
    run: str
    scope: str = ""
    armed: dict[int, tuple[datetime, Receipt]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    fired: dict[int, Receipt] = field(default_factory=dict)
    found_mark: bool = False  # what armed it found that it had been answered
    moved: dict[int, Receipt] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)


def timeouts_of(flow: str, receipts: Iterable[Receipt], foreign: Iterable[Receipt] = ()) -> tuple[TimeOut, ...]:
    """The time-outs of a flow, the first armed first; `foreign` are receipts of other flows about time-outs of this."""
    found: dict[tuple[str, str], _Told] = {}
    for each in (*receipts, *foreign):
        timer = each.timer
        if timer is None or each.outcome == "duplicate" or timer.state == "void":
            continue
        if flow not in {each.correlationid, timer.flow}:
            continue
        key = (each.subscription, timer.run or timer.scope or each.subject)
        told = found.setdefault(key, _Told(each.subscription, timer.run))
        told.scope = told.scope or timer.scope
        _hear(told, each, flow)
    made = [_made(each) for each in found.values()]
    mine = [each for each in made if each is not None]
    return tuple(sorted(mine, key=lambda each: (each.since, each.subscription, each.run)))


def _hear(told: _Told, receipt: Receipt, flow: str) -> None:
    timer = receipt.timer
    assert timer is not None
    if timer.own:
        told.own.add(receipt.event.id)
    elif receipt.event.type == OVERDUE_TYPE:
        known = told.fired.get(timer.n)
        if known is None or receipt.begun < known.begun:
            told.fired[timer.n] = receipt
    elif timer.due is not None and timer.state == "armed":
        if receipt.correlationid == flow:
            told.armed[timer.n] = (timer.due, receipt)
        else:
            told.moved[timer.n] = receipt
    elif timer.state == "met" and not timer.n:
        told.found_mark = True
    elif timer.state in {"met", "mark"} or timer.late is not None:
        other = receipt.correlationid if receipt.correlationid != flow else ""
        event = receipt.event
        answer = Answer(event.id, event.type, receipt.over, timer.n, other, timer.late, timer.kept)
        told.answers.setdefault(event.id, answer)


def _made(told: _Told) -> TimeOut | None:
    """The time-out that these receipts make; None where they are about a time-out of another flow alone."""
    answers = tuple(sorted(told.answers.values(), key=lambda each: (each.at, each.event_id)))
    last = max((*told.armed, *told.fired, *told.moved), default=0)
    in_time = [each for each in answers if each.late is None]
    fired = told.fired.get(last)
    if fired is not None:
        state = TimeOutState.FIRED
    elif last and any(each.n >= last for each in in_time):
        state = TimeOutState.MET
    elif last in told.moved:
        state = TimeOutState.MOVED
    elif last:
        state = TimeOutState.ARMED
    elif told.found_mark:
        state = TimeOutState.MET
    else:
        state = TimeOutState.MARK
    if not (told.armed or told.fired or told.found_mark or any(not each.n and not each.flow for each in answers)):
        return None
    moved = told.moved.get(last)
    return TimeOut(
        told.subscription, told.run, told.scope, state, _periods(told, in_time), answers,
        fired.begun if fired else None, fired.event.id if fired else "", tuple(sorted(told.own)),
        moved.correlationid if moved else "",
    )  # fmt: skip


def _periods(told: _Told, in_time: Sequence[Answer]) -> tuple[Period, ...]:
    made: list[Period] = []
    for n, (due, receipt) in sorted(told.armed.items()):
        ends = [each.at for each in in_time if each.n == n]
        ends += [one.begun for one in (told.fired.get(n),) if one is not None]
        later = [one.over for m, (_, one) in told.armed.items() if m > n]
        later += [one.over for m, one in told.moved.items() if m > n]
        end = min([*ends, *later], default=None)
        made.append(Period(n, receipt.over, due, receipt.event.id, receipt.event.type, end))
    return tuple(made)
