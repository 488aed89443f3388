"""Which declarations meet in one flow, as far as those that are checked together show it. Pure."""

from collections.abc import Iterable, Sequence

from hocket.declarations.choreography import Declarations
from hocket.declarations.findings.finding import types_of
from hocket.declarations.subscription import Subscription
from hocket.event import Event


class Flows:
    """Who says each type, which types begin a flow, and of which types each may come."""

    def __init__(self, declared: Sequence[Declarations]) -> None:
        self.every = [each for one in declared for each in one.subscriptions.values()]
        self.by_queue = {each.queue: each for each in self.every}
        self.together = len(declared) > 1  # alone a service does not know who says and who hears the rest
        self.begins: dict[str, tuple[str, type[Event]]] = {}  # by type: who says it outside handlers, and its class
        self._said_by: dict[str, list[Subscription]] = {}
        for one in declared:
            for model in one.outside:
                self.begins.setdefault(model.__hocket_type__, (one.service, model))
        for each in self.every:
            for said in dict.fromkeys((*each.says, *each.scheduled, *each.on_dead_says)):
                self._said_by.setdefault(said.__hocket_type__, []).append(each)

    def speakers(self, type_: str) -> Sequence[Subscription]:
        """The subscriptions that say it."""
        return self._said_by.get(type_, ())

    def is_said(self, type_: str) -> bool:
        """Whether anybody here says it, outside handlers included."""
        return type_ in self._said_by or type_ in self.begins

    def before(self, types: Iterable[str]) -> set[str]:
        """These types, and every type of which one of them may come."""
        seen: set[str] = set()
        ahead = list(types)
        while ahead:
            type_ = ahead.pop()
            if type_ not in seen:
                seen.add(type_)
                for speaker in self.speakers(type_):
                    ahead += heard_by(speaker)
        return seen

    def roots(self, types: Iterable[str]) -> set[str]:
        """The types that begin the flows in which these may be said."""
        return self.before(types) & self.begins.keys()

    def elsewhere(self, type_: str, own: set[str]) -> str:
        """How this type may come in another flow than those that `own` begins; "": it does not, as far as is known."""
        if type_ in self.begins:
            return f"{self.begins[type_][0]} says outside handlers"
        foreign = sorted(self.roots([type_]) - own)
        return f"comes of {foreign[0]}, with which {self.begins[foreign[0]][0]} begins a flow" if foreign else ""

    def around(self, types: Iterable[str]) -> set[str]:
        """Every type that may be said in a flow in which one of these is said."""
        flow = set(types)
        while True:
            known = len(flow)
            for each in self.every:
                said = types_of((*each.says, *each.scheduled, *each.on_dead_says))
                heard = {type_ for type_, _ in each.bound} or types_of(each.heard)
                if said & flow:
                    flow |= types_of(each.heard)
                if heard & flow:
                    flow |= said
            if len(flow) == known:
                return flow

    def may_meet(self, one: Iterable[str], other: Iterable[str]) -> bool:
        """Whether both may be said in one flow; what comes of a type that nobody here says may meet anything."""
        mine, theirs = self.before(one), self.before(other)
        return bool(mine & theirs) or any(not self.is_said(type_) for type_ in mine | theirs)


def heard_by(each: Subscription) -> set[str]:
    """What comes before a subscription says something: its input, and the failures of an undo."""
    return types_of((*each.heard, *(each.undo.why if each.undo else ())))


def failures_of(step: Subscription) -> set[str]:
    """The types of the failures that undo a step."""
    undo = step.undone_by.undo if step.undone_by is not None else None
    return types_of((*undo.why, *undo.spoken)) if undo is not None else set()
