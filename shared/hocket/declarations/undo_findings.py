"""What `hocket check` finds in undos that each service alone declares rightly: failures of other flows, shared scopes.

Pure. It knows the services that are checked together; what others say is unknown and no finding.
"""

from collections.abc import Iterator, Sequence

from hocket.declarations.choreography import Declarations
from hocket.declarations.subscription import Subscription, Undo
from hocket.event import Event


def undo_findings(declared: Sequence[Declarations]) -> Iterator[str]:
    """`undo-flow` and `scope-once`, a sentence each, by undo."""
    flows = _Flows(declared)
    for one in declared:
        for each in one.subscriptions.values():
            if each.undo is None:
                continue
            step = one.subscriptions[each.undo.step]
            yield from (
                _shared_scope(each, each.undo, step, flows)
                if each.undo.across
                else _missed(each, each.undo, step, flows)
            )


class _Flows:
    """Which types begin a flow, who says them there, and of which of these each type may come."""

    def __init__(self, declared: Sequence[Declarations]) -> None:
        self.begins: dict[str, tuple[str, type[Event]]] = {}  # by type: who says it outside handlers, and its class
        self._said_by: dict[str, list[Subscription]] = {}
        for one in declared:
            for model in one.outside:
                self.begins.setdefault(model.__hocket_type__, (one.service, model))
            for each in one.subscriptions.values():
                for said in (*each.says, *each.scheduled, *each.on_dead_says):
                    self._said_by.setdefault(said.__hocket_type__, []).append(each)

    def of(self, *types: str) -> set[str]:
        """The types that begin the flows in which these may be said."""
        seen: set[str] = set()
        ahead = list(types)
        while ahead:
            type_ = ahead.pop()
            if type_ in seen:
                continue
            seen.add(type_)
            for speaker in self._said_by.get(type_, ()):
                ahead += [model.__hocket_type__ for model in speaker.heard]
        return seen & self.begins.keys()


def _missed(undone_by: Subscription, undo: Undo, step: Subscription, flows: _Flows) -> Iterator[str]:
    """A failure that may come in another flow than the step's, of which an undo without `across` hears nothing."""
    own = flows.of(*(model.__hocket_type__ for model in step.heard))
    for failure in dict.fromkeys(model.__hocket_type__ for model in undo.why):
        if failure in flows.begins:
            how = f"{flows.begins[failure][0]} says outside handlers"
        elif foreign := sorted(flows.of(failure) - own):
            how = f"comes of {foreign[0]}, with which {flows.begins[foreign[0]][0]} begins a flow"
        else:
            continue
        yield (
            f"undo-flow: {undone_by.queue} hears {failure}, which {how}: in a flow of its own it does not reach "
            f"{step.queue}, whose runs are found by their flow. Add across=True, with by= naming what happens once, "
            "or say it in the step's flow, by service.tx(correlation_id=...)"
        )


def _shared_scope(undone_by: Subscription, undo: Undo, step: Subscription, flows: _Flows) -> Iterator[str]:
    """A scope across flows that is the subject of flows in which this step does not run: it may come more than once."""
    roots = flows.of(*(model.__hocket_type__ for model in step.heard))
    if all(set(undo.by) <= set(flows.begins[type_][1].__hocket_named__) for type_ in roots):
        return  # it is what the step's own flows are about, or nothing is known of them
    own = roots | flows.of(*(model.__hocket_type__ for model in (*undo.why, *undo.spoken)))
    for type_ in sorted(flows.begins.keys() - own):
        service, model = flows.begins[type_]
        if set(undo.by) <= set(model.__hocket_named__):
            yield (
                f"scope-once: {undone_by.queue} is across=True by {', '.join(undo.by)}, which is the subject of "
                f"{type_} of {service} too, so it may name something that comes again (a customer, not an order): the "
                f"second input of {step.queue} with the same {', '.join(undo.by)} would be a conflict, and nothing "
                "runs after an undo. Add the field that names what happens once to by="
            )
