"""What must be true of a saga when nothing is under way any more."""

from collections import Counter
from typing import TYPE_CHECKING

from hocket.saga import LedgerState, Standing, UndoStand, standing
from hocket.saga.overdue import TimerState

if TYPE_CHECKING:
    from tests.graph.graph import Scope, State

#: States in which a step run must not be left.
_OPEN = frozenset({LedgerState.BEGUN})
STANDS = "stands"


def ended_badly(scope: "Scope", state: "State") -> str:
    """What is wrong with this end; "": nothing."""
    return (
        _timers(scope, state)
        or _twice(scope, state)
        or _acts(scope, state)
        or _runs(scope, state)
        or scope.ends(scope, state)
    )


def failed(scope: "Scope", state: "State", step: str, thing: str) -> bool:
    """Whether a failure was said that must undo this step."""
    types = scope.product.failures[step]
    facts = scope.product.facts.values
    return any(facts[each].thing == thing and facts[each].type in types for each in state.said)


def _timers(scope: "Scope", state: "State") -> str:
    for rows in state.rows:
        for queue, _, now, _ in scope.product.seen(rows).timers:
            if now == TimerState.CALLED:
                return f"{queue} was called, and no alarm is under way"
    return ""


def _twice(scope: "Scope", state: "State") -> str:
    acts = Counter((each.step, each.thing) for each in state.books if each.state != "declined")
    for (step, thing), many in acts.items():
        if many > 1:
            return f"{step} acted {many} times for {thing}, each time under another key"
    said = Counter(scope.product.facts.values[each][:2] for each in dict.fromkeys(state.said))
    for (type_, thing), many in said.items():
        if many > 1 and type_ in scope.product.results:
            return f"{type_} was said {many} times about {thing}, under different keys"
    lines = Counter(state.said)
    for fact, many in lines.items():
        if many > 1:
            return f"{scope.product.facts.values[fact].type} was said {many} times, by several transactions"
    return ""


def _acts(scope: "Scope", state: "State") -> str:
    zombies = _zombies(scope, state)
    for act in state.books:
        who = (act.step, act.thing)
        has_failed = failed(scope, state, *who)
        if act.state == STANDS and has_failed and who not in zombies and who not in state.blind:
            return f"what {act.step} did stands although a failure was said, and nobody sees it"
        if act.state == "back" and not has_failed:
            return f"what {act.step} did was given back, and no failure was said"
    return ""


def _zombies(scope: "Scope", state: "State") -> set[tuple[str, str]]:
    """The runs that RULES 5.8 calls zombies: an undo is dead, and its letter waits for a person."""
    dead = scope.product.dead_undos(state.letters)
    found: set[tuple[str, str]] = set()
    for rows in state.rows:
        for step, thing, now, generation in scope.product.seen(rows).runs:
            undo = UndoStand.DEAD if (step, thing, generation) in dead else UndoStand.NONE
            reached = failed(scope, state, step, thing)
            if standing(LedgerState(now), reached=reached, undo=undo) is Standing.ZOMBIE:
                found.add((step, thing))
    return found


def _runs(scope: "Scope", state: "State") -> str:
    zombies = _zombies(scope, state)
    for rows in state.rows:
        for step, thing, now, _ in scope.product.seen(rows).runs:
            has_failed = failed(scope, state, step, thing)
            if now in _OPEN:
                return f"{step} began and never ended"
            if now == LedgerState.UNDOING and (step, thing) not in zombies:
                return f"{step} is being undone, and no undo is under way"
            if (step, thing) in zombies and now != LedgerState.UNDOING:
                return f"{step} is called a zombie, and it is {now}"
            if now in {LedgerState.DONE, LedgerState.UNSURE} and has_failed:
                return f"{step} is {now} although a failure was said"
            if now in {LedgerState.UNDOING, LedgerState.UNDONE, LedgerState.REFUSED, "tombstone"} and not has_failed:
                return f"{step} is {now}, and no failure was said"
    return ""
