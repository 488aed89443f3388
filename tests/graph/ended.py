"""What must be true of a saga when nothing is under way any more."""

from collections import Counter

from hocket.saga import LedgerState, Standing, UndoStand, standing
from hocket.saga.overdue import TimerState
from tests.graph.product import Product
from tests.graph.sagas.outside import DECLINED
from tests.graph.values import BACK, STANDS, State

#: States of runs that a failure has reached.
_FAILED = frozenset({LedgerState.UNDOING, LedgerState.UNDONE, LedgerState.REFUSED, LedgerState.TOMBSTONE})


def ended_badly(product: Product, state: State) -> str:
    """What is wrong with this end; "": nothing."""
    return _timers(product, state) or _twice(product, state) or _acts(product, state) or _runs(product, state)


def failed(product: Product, state: State, step: str, thing: str) -> bool:
    """Whether a failure was said that must undo this step."""
    types = product.failures[step]
    facts = product.facts.values
    return any(facts[each].thing == thing and facts[each].type in types for each in state.said)


def _timers(product: Product, state: State) -> str:
    for rows in state.rows:
        for queue, _, now, _ in product.seen(rows).timers:
            if now == TimerState.CALLED:
                return f"{queue} was called, and no alarm is under way"
    return ""


def _twice(product: Product, state: State) -> str:
    acts = Counter((each.step, each.thing) for each in state.books if each.state != DECLINED)
    for (step, thing), many in acts.items():
        if many > 1:
            return f"{step} acted {many} times for {thing}, each time under another key"
    said = Counter(product.facts.values[each][:2] for each in dict.fromkeys(state.said))
    for (type_, thing), many in said.items():
        if many > 1 and type_ in product.results:
            return f"{type_} was said {many} times about {thing}, under different keys"
    lines = Counter(state.said)
    for fact, many in lines.items():
        if many > 1:
            return f"{product.facts.values[fact].type} was said {many} times, by several transactions"
    return ""


def _acts(product: Product, state: State) -> str:
    zombies = _zombies(product, state)
    for act in state.books:
        who = (act.step, act.thing)
        has_failed = failed(product, state, *who)
        if act.state == STANDS and has_failed and who not in zombies and who not in state.unrecorded:
            return f"what {act.step} did stands although a failure was said, and nobody sees it"
        if act.state == BACK and not has_failed:
            return f"what {act.step} did was given back, and no failure was said"
    return ""


def _zombies(product: Product, state: State) -> set[tuple[str, str]]:
    """The runs that RULES 5.8 calls zombies: an undo is dead, and its letter waits for a person."""
    dead = product.dead_undos(state.letters)
    found: set[tuple[str, str]] = set()
    for rows in state.rows:
        for step, thing, now, generation in product.seen(rows).runs:
            undo = UndoStand.DEAD if (step, thing, generation) in dead else UndoStand.NONE
            reached = failed(product, state, step, thing)
            if standing(LedgerState(now), reached=reached, undo=undo) is Standing.ZOMBIE:
                found.add((step, thing))
    return found


def _runs(product: Product, state: State) -> str:
    zombies = _zombies(product, state)
    for rows in state.rows:
        for step, thing, now, _ in product.seen(rows).runs:
            has_failed = failed(product, state, step, thing)
            if now == LedgerState.BEGUN:
                return f"{step} began and never ended"
            if now == LedgerState.UNDOING and (step, thing) not in zombies:
                return f"{step} is being undone, and no undo is under way"
            if (step, thing) in zombies and now != LedgerState.UNDOING:
                return f"{step} is called a zombie, and it is {now}"
            if now in {LedgerState.DONE, LedgerState.UNSURE} and has_failed:
                return f"{step} is {now} although a failure was said"
            if now in _FAILED and not has_failed:
                return f"{step} is {now}, and no failure was said"
    return ""
