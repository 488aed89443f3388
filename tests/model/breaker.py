"""RULES 6 as a state graph driven by the product's own functions: one dependency, two replicas that share its row.

`hocket.resilience.breakers.transitions` decides each row, `BreakerGuard` and `Handling` whether a failure uses an
attempt. A replica calls by what it has learnt last; closed costs no question, everything else a slot. Each statement,
call and commit is one move; a crash may come between any two. The outside falls ill and recovers; one payload may be
poisonous. From every state an end must be reachable in which all is handled and nothing is held.

Left out: rates and windows, slow calls, Retry-After, limits, calls beyond their bound; how long a period is.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from hocket import Breaker, Retry
from hocket.delivery.handle import Handling
from hocket.masking.mask import mask_of
from hocket.outcome import Again, Attempt, Bury, GiveBack
from hocket.resilience.breakers.row import CLOSED, HALF, HELD, OPEN, BreakerRow, Permit, Sight
from hocket.resilience.breakers.transitions import Report, Verdict, asked, held, released, told, width_of
from hocket.resilience.breakers.view import SharedBreaker
from hocket.resilience.guard import PROBES_PER_DELIVERY, BreakerGuard
from hocket.store.records import InboxRow, InboxState
from tests.model.explorer import assign

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "tell": "RULES 6.1: a counted failure is told before its attempt is decided",
    "slots": "RULES 6.4: while it is not closed each call needs a slot, as many as the ramp allows",
    "expiry": "RULES 6.5: a slot dies with its owner's lease",
    "renew": "RULES 6.3: no open period is shorter than it takes until every replica knows of it",
    "blame": "RULES 6.1: failed probes of one delivery beyond the bound cost attempts",
    "order": "RULES 6.1: a failed probe is recorded and goes behind what waits: the next one takes another delivery",
    "hold": "RULES 6.7: closing by hand leads through a last period to the ramp",
}


class Ill(Exception):
    """The outside failed."""


OUTSIDE = Breaker("outside", failures=(Ill,), after=2, ramp=2)
#: Attempts of one delivery, and the probes that it has failed before: two more, and the next one costs.
BUDGET, FAILED_BEFORE = 2, PROBES_PER_DELIVERY - 2
NOW, LEAST, BOUND = 1000.0, 1.0, 50.0
#: The row's version, and that of whatever is older.
PRESENT, EARLIER = 5, 4


class Job(NamedTuple):
    """One delivery: `at` is queue, call, ended, told, done or dead."""

    name: str
    poison: bool = False
    used: int = 0
    probes: int = FAILED_BEFORE
    at: str = "queue"
    who: int = -1
    slot: str = ""
    version: int = 0
    got: str = ""
    then: str = ""  # what becomes of it: handled, deferred, again, dead, front
    after: int = 0  # failed probes that are recorded


class State(NamedTuple):
    """Everything that decides what may happen next."""

    jobs: tuple[Job, ...]  # in the order of the queue
    row: BreakerRow
    views: tuple[tuple[str, int], ...]  # state and version that each replica has learnt
    boots: tuple[int, ...] = (0, 0)
    ghosts: tuple[str, ...] = ()  # dead starts whose lease runs on
    well: tuple[bool, ...] = (False, False)  # a success since any replica's last failure was told
    ill: bool = False
    turns: int = 0
    crashes: int = 0
    cancels: int = 0
    hand: int = 0
    bad_move: str = ""


Step = tuple[str, State]


@dataclass(frozen=True)
class Scenario:
    """Which deliveries there are, and how often the outside, the processes and a person may act."""

    jobs: tuple[Job, ...] = (Job("1"), Job("2"))
    ill: bool = False
    turns: int = 1
    crashes: int = 0
    cancels: int = 0
    hand: int = 0
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """All deliveries wait, and the breaker is closed."""
        row, views = BreakerRow("outside", version=PRESENT), ((CLOSED, PRESENT),) * 2
        return State(
            self.jobs, row, views, ill=self.ill, turns=self.turns, crashes=self.crashes, cancels=self.cancels,
            hand=self.hand,
        )  # fmt: skip

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move."""
        for move, after in _moves(self, state):
            yield move, _even(after)

    def wrong(self, state: State) -> str:
        """What must not be in this state; "": nothing."""
        if not state.bad_move and any(each.at == "dead" and not each.poison for each in state.jobs) and not self.turns:
            return "a healthy delivery was buried"
        return state.bad_move

    def good(self, state: State) -> bool:
        """Whether all is handled, and nobody holds the breaker."""
        return all(each.at in {"done", "dead"} for each in state.jobs) and state.row.state != HELD


def _version(of: int, now: int) -> int:
    return PRESENT if of == now else EARLIER


def _even(s: State) -> State:
    """The same state, with only the versions and moments that matter: now or earlier, running or over."""
    now = s.row.version
    jobs, views = s.jobs, s.views
    if now != PRESENT:
        jobs = tuple(each._replace(version=_version(each.version, now)) if each.version else each for each in jobs)
        views = tuple((state, _version(of, now)) for state, of in views)
    return s._replace(row=_even_row(s.row), jobs=jobs, views=views)


@cache
def _even_row(row: BreakerRow) -> BreakerRow:
    slots = {name: [NOW + BOUND, _version(slot.version, row.version)] for name, slot in row.granted().items()}
    running = row.state in {OPEN, HELD} and row.until > NOW
    return row._replace(
        version=PRESENT, until=NOW + LEAST if running else 0.0, wait=LEAST if running else 0.0, level=0, calls=0,
        bad=row.bad if row.state == HALF else 0, slots=json.dumps(slots, sort_keys=True),
        reason="", by="", updated=0.0, failed_at=0.0,
    )  # fmt: skip


def _boot(s: State, who: int) -> str:
    return f"{'AB'[who]}{s.boots[who]}"


def _sight(s: State) -> Sight:
    return Sight(s.row, NOW, sorted({_boot(s, 0), _boot(s, 1), *s.ghosts}))


def _is(s: State, job: Job, **change: Any) -> State:
    return s._replace(jobs=tuple(each._replace(**change) if each.name == job.name else each for each in s.jobs))


def _known(s: State, who: int) -> State:
    return s._replace(views=assign(s.views, who, (str(s.row.state), s.row.version)))


def _moves(scene: Scenario, s: State) -> Iterator[Step]:
    waiting = [each for each in s.jobs if each.at == "queue"]
    for who in (0, 1):
        if waiting and sum(each.who == who for each in s.jobs) < 2:
            yield from _begins(scene, s, waiting[0], who)
    for job in s.jobs:
        name = "AB"[job.who]
        if job.at == "call":
            got = "bad" if s.ill or job.poison else "ok"
            well = assign(s.well, job.who, True) if got == "ok" and not job.slot else s.well
            yield f"{name}'s call for {job.name} ends {got}", _is(s, job, at="ended", got=got)._replace(well=well)
            if s.cancels:
                ended = _is(s, job, at="ended", got="none")
                yield f"{name}'s call for {job.name} is cancelled", ended._replace(cancels=s.cancels - 1)
        elif job.at == "ended":
            yield f"{name} tells {job.name}: {job.got}", _tells(scene, s, job)
        elif job.at == "told":
            yield f"{name} commits {job.name}: {job.then}", _commits(scene, s, job)
    yield from _around(scene, s)


def _begins(scene: Scenario, s: State, job: Job, who: int) -> Iterator[Step]:
    name, (state, version) = "AB"[who], s.views[who]
    if state == CLOSED:
        bad_move = "a replica that knew nothing called in the ramp" if s.row.state == HALF else s.bad_move
        after = _is(s, job, at="call", who=who, version=version)
        yield f"{name} calls for {job.name}", after._replace(bad_move=s.bad_move or bad_move)
        return
    slot = f"{_boot(s, who)}/{job.name}"
    row = asked(_sight(s), slot, BOUND, OUTSIDE)
    if "slots" in scene.without and row.state == HALF and slot not in row.granted():
        row = row.with_slots({**row.granted(), slot: next(iter(row.granted().values()))})
    after = _known(s._replace(row=row), who)
    if slot not in row.granted():
        yield f"{name} asks for {job.name}: {row.state}", after
        return
    after = _is(after, job, at="call", who=who, slot=slot, version=row.version)
    out = sum(bool(each.slot) and each.at == "call" for each in after.jobs)
    if out > (width := width_of(OUTSIDE, row.step)):
        after = after._replace(bad_move=s.bad_move or f"{out} calls at once where the ramp allows {width}")
    yield f"{name} gets a slot and calls for {job.name}", after


def _tells(scene: Scenario, s: State, job: Job) -> State:
    """What `SharedBreaker.ended` reports, the row after it, and what is decided about the delivery."""
    if job.got != "bad" and not job.slot:
        return _is(s, job, at="told", then="handled" if job.got == "ok" else "deferred", after=job.probes)
    was = s.views[job.who]
    counts = job.version == was[1] and was[0] == CLOSED
    report = Report()
    if job.slot:
        report = Report(slots=((job.slot, cast("Verdict", job.got)),))
    elif counts:
        report = Report(job.version, calls=1, bad=1, streak=1, since_ok=0.0 if s.well[job.who] else math.inf)
    after = told(_sight(s), report, OUTSIDE, least=LEAST, chance=0.0)
    moved = (after.state, after.step, after.ok) != (s.row.state, s.row.step, s.row.ok)
    # A failure that is told stands between every replica's earlier successes and what comes.
    s = s._replace(row=after, well=s.well if job.slot else (False, False))
    if job.version != PRESENT and moved:
        s = s._replace(bad_move=s.bad_move or "a verdict of an earlier period moved the breaker")
    seen = was[0] if "tell" in scene.without else str(after.state)
    s = _known(s, job.who)
    if job.got != "bad":
        return _is(s, job, at="told", then="handled" if job.got == "ok" else "deferred", after=job.probes)
    then, probes = judged(job._replace(name="", got="", then=""), seen)
    if then in {"again", "dead"} and after.state != CLOSED and job.probes < PROBES_PER_DELIVERY:
        s = s._replace(bad_move=s.bad_move or "an attempt was counted while the breaker was not closed")
    return _is(s, job, at="told", then=then, after=job.probes if "blame" in scene.without else probes)


async def _nothing(*_: object) -> None:
    """What is told is told, and no error is the store's."""


@cache
def judged(job: Job, seen: str) -> tuple[str, int]:
    """What the guard and the handling make of a failure, where the row is in this state by now; its failed probes."""
    guard = BreakerGuard(cast("Any", None), cast("Any", SimpleNamespace(monotonic=lambda: NOW)))
    shared = cast("SharedBreaker", SimpleNamespace(state=seen, wait=lambda _: LEAST))
    permit = Permit(job.version, job.slot, 0, False)
    guard._telling = ((shared, permit, _nothing()),)  # noqa: SLF001 -- a call has failed, and was told
    _at_once(guard.end())
    past = Attempt(1, "", "", "deferred", "", "", "", job.probes)
    row = InboxRow(b"k", "s.h", "e", InboxState.RETRY, job.used, history=(past,))
    retry = Retry(retries=BUDGET - 1, jitter=False)
    subscription = SimpleNamespace(queue="s.h", call=_nothing, retry=retry)
    arrival: Any = SimpleNamespace(subscription=subscription, used=job.used + 1, row=row, mask=mask_of, outcome=None)
    runtime = SimpleNamespace(chance=random.Random(1), whole_stacks=False)
    handling: Any = SimpleNamespace(runtime=runtime, _readmit=_nothing, _paused_for=lambda *_: None)
    handling._free = lambda *words: Handling._free(handling, *words)  # noqa: SLF001 -- the product's own decision
    _at_once(Handling._judge(handling, arrival, Ill(), guard, cast("Any", permit)))  # noqa: SLF001 -- the same
    match arrival.outcome:
        case Again(deferred=True, probes=probes):
            return "deferred", max(probes, job.probes)
        case Again(probes=probes):
            return "again", max(probes, job.probes)
        case Bury():
            return "dead", job.probes
        case GiveBack():
            return "front", job.probes
    raise AssertionError(arrival.outcome)


def _at_once(work: Any) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for something")


def _commits(scene: Scenario, s: State, job: Job) -> State:
    others = tuple(each for each in s.jobs if each.name != job.name)
    back = Job(job.name, job.poison, job.used, job.after)
    match job.then:
        case "handled":
            return s._replace(jobs=(*others, back._replace(at="done", used=0, probes=0)))
        case "dead":
            return s._replace(jobs=(*others, back._replace(at="dead", used=0, probes=0)))
        case "again":
            return s._replace(jobs=(*others, back._replace(used=job.used + 1)))
        case "front":
            return s._replace(jobs=(back, *others))
    if "order" in scene.without and job.got == "bad":
        return s._replace(jobs=(back._replace(probes=job.probes), *others))
    return s._replace(jobs=(*others, back))


def _around(scene: Scenario, s: State) -> Iterator[Step]:
    for who in (0, 1):
        name = "AB"[who]
        if s.views[who] != (s.row.state, s.row.version):
            yield f"{name} learns {s.row.state}", _known(s, who)
        if s.crashes:
            jobs = tuple(
                Job(each.name, each.poison, each.used, each.probes) if each.who == who else each for each in s.jobs
            )
            after = s._replace(
                jobs=jobs, crashes=s.crashes - 1, boots=assign(s.boots, who, s.boots[who] + 1),
                ghosts=(*s.ghosts, _boot(s, who)), well=assign(s.well, who, False),
            )  # fmt: skip
            yield f"{name} dies and starts", _known(after, who)
    for ghost in s.ghosts if "expiry" not in scene.without else ():
        yield f"the lease of {ghost} ends", s._replace(ghosts=tuple(each for each in s.ghosts if each != ghost))
    unaware = any(state == CLOSED for state, _ in s.views)
    if s.row.state == OPEN and s.row.until > NOW and ("renew" in scene.without or not unaware):
        yield "the period is over", s._replace(row=s.row._replace(until=NOW))
    if s.turns:
        yield f"the outside {'recovers' if s.ill else 'falls ill'}", s._replace(ill=not s.ill, turns=s.turns - 1)
    sight = _sight(s)
    if s.hand:
        yield "a person opens", s._replace(row=held(sight, None, "", "", least=LEAST), hand=s.hand - 1)
    if s.row.state == HELD:
        row = released(sight, "", "", least=LEAST, at_once=False)
        yield "a person closes", s._replace(row=row._replace(until=NOW) if "hold" in scene.without else row)


ONE, POISON = Job("1"), Job("poison", poison=True)


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """The scopes that `python -m tests.model` visits."""
    every = {
        "falls ill and recovers": Scenario(turns=2),
        "ill from the start, a crash": Scenario(ill=True, crashes=1),
        "a cancelled call": Scenario(ill=True, cancels=1),
        "one poisonous payload": Scenario((POISON, ONE), ill=True),
        "a poisonous payload alone": Scenario((POISON,), turns=0),
        "opened and closed by hand": Scenario(ill=True, hand=1),
    }
    return {name: replace(scene, without=without) for name, scene in every.items()}


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Smaller scopes, for each run of the tests."""
    fewer: dict[str, dict[str, Any]] = {
        "falls ill and recovers": {"turns": 1, "ill": True},
        "ill from the start, a crash": {"jobs": (ONE,)},
        "a cancelled call": {"jobs": (ONE,)},
        "opened and closed by hand": {"ill": False, "turns": 0},
    }
    return {name: replace(scene, **fewer.get(name, {})) for name, scene in whole(without).items()}
