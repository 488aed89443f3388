"""The word, shape and colour of every state (docs/console.md §4), in one table for pages, drawings and tests."""

from collections.abc import Mapping
from typing import NamedTuple


class Mark(NamedTuple):
    """How one state looks: id of its symbol in `marks.html`, its colour token, its word."""

    symbol: str
    tone: str
    word: str


def _marks(table: str) -> dict[tuple[str, str], Mark]:
    """Lines of `kind state symbol tone [word]`; the word is the state where none is named."""
    found: dict[tuple[str, str], Mark] = {}
    for line in table.strip().splitlines():
        kind, state, symbol, tone, *word = line.split(maxsplit=4)
        found[kind, state] = Mark(symbol, tone, word[0] if word else state.replace("-", " "))
    return found


MARKS: Mapping[tuple[str, str], Mark] = _marks(
    """
    event said ring quiet
    event unheard ring-dashed quiet
    subscription handled disc-tick done
    subscription waiting box-hatched wait
    subscription retry arrow-turning wait waiting
    subscription deferred box-hatched wait waiting
    subscription running disc-half run
    subscription dead square-cross fail
    subscription discarded ring-struck quiet
    subscription duplicate rings quiet
    subscription stale clock quiet
    subscription refused ring-struck quiet
    subscription obsolete clock quiet
    subscription undoing arrow-back comp
    subscription undone disc-back comp
    subscription unsure ring-cross fail may have happened
    flow running disc-half run
    flow waiting box-hatched wait
    flow done disc-tick done
    flow compensated disc-back comp
    flow failed ring-cross quiet
    flow open-letter square-cross fail open letter
    flow discarded ring-struck quiet
    flow stuck octagon-bar stuck
    flow zombie diamond-bang zombie
    flow incomplete line-broken quiet
    breaker closed switch-closed done
    breaker half-open switch-half wait half-open
    breaker open switch-open fail
    breaker held switch-open fail held open
    timeout mark tick quiet answered before it was armed
    timeout armed clock wait
    timeout called bell wait due
    timeout met disc-tick done
    timeout fired bell stuck
    timeout late bell stuck fired, answered late
    timeout moved arrow-turning quiet armed anew elsewhere
    failure reached arrow-back comp
    failure none ring-dashed quiet reached: none
    service alive disc-tick done
    service silent ring-dotted-bar fail
    service retired ring-struck quiet
    letter pending disc-half run
    letter replaying disc-half run
    letter handled disc-tick done
    letter failed-again square-cross fail
    letter discarded ring-struck quiet
    letter obsolete clock quiet
    group open bell fail
    group acknowledged tick run
    group ignored eye-struck quiet
    group resolved disc-tick done
    """
)


def mark_of(kind: str, state: str) -> Mark:
    """The mark of a state; an unknown state gets a plain ring and its own word."""
    return MARKS.get((kind, state), Mark("ring", "quiet", state))
