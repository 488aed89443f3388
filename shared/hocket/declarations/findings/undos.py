"""Findings about undos: failures of other flows, shared scopes, undos that nothing reaches (docs/checks.md). Pure.

They know the services that are checked together; what others say is unknown and no finding.
"""

from collections.abc import Iterator

from hocket.declarations.findings.finding import Finding, found, types_of
from hocket.declarations.findings.flows import Flows, failures_of
from hocket.declarations.subscription import Subscription, Undo


def undo_findings(flows: Flows) -> Iterator[Finding]:
    """`undo-flow`, `scope-once` and `undo-unreached`, by undo."""
    for each in flows.every:
        if each.undo is None:
            continue
        step = flows.by_queue[each.undo.step]
        yield from (
            _shared_scope(each, each.undo, step, flows) if each.undo.across else _missed(each, each.undo, step, flows)
        )
        yield from _unreached(each, step, flows)


def _missed(undone_by: Subscription, undo: Undo, step: Subscription, flows: Flows) -> Iterator[Finding]:
    """A failure that may come in another flow than the step's, of which an undo without `across` hears nothing."""
    own = flows.roots(types_of(step.heard))
    for failure in dict.fromkeys(model.__hocket_type__ for model in undo.why):
        if not (how := flows.elsewhere(failure, own)):
            continue
        yield found(
            "undo-flow",
            undone_by.call,
            undone_by.allow,
            f"{undone_by.queue} hears {failure}, which {how}: in a flow of its own it does not reach {step.queue}, "
            "whose runs are found by their flow",
            "add across=True, with by= naming what happens once, or say it in the step's flow, by "
            "service.tx(correlation_id=...)",
        )


def _shared_scope(undone_by: Subscription, undo: Undo, step: Subscription, flows: Flows) -> Iterator[Finding]:
    """A scope across flows that is the subject of flows in which this step does not run: it may come more than once."""
    heard = types_of(step.heard)
    roots = flows.roots(heard)
    if not roots:
        return  # nothing is known of what begins the step's flows
    own = roots | flows.roots(types_of((*undo.why, *undo.spoken)))
    named = {name for type_ in roots for name in flows.begins[type_][1].__hocket_named__}
    by = ", ".join(undo.by)
    for type_ in sorted(flows.begins.keys() - own):
        service, model = flows.begins[type_]
        if set(undo.by) <= set(model.__hocket_named__) and not set(undo.by) <= named:
            yield found(
                "scope-once",
                undone_by.call,
                undone_by.allow,
                f"{undone_by.queue} is across=True by {by}, the subject of {type_} of {service} too, so it may "
                f"name something that comes again (a customer, not an order): the second input of {step.queue} with "
                f"the same {by} would be a conflict, and nothing runs after an undo",
                "add the field that names what happens once to by=",
            )


def _unreached(undone_by: Subscription, step: Subscription, flows: Flows) -> Iterator[Finding]:
    """An undo that cannot run: nobody says its failures, or only its own step does, in place of what is undone."""
    failures = failures_of(step)
    said = {type_ for type_ in failures if flows.is_said(type_)}
    if not flows.together or failures & types_of(step.on_dead_says) or any(f in flows.begins for f in said):
        return
    speakers = {speaker.queue for type_ in said for speaker in flows.speakers(type_)}
    names = " or ".join(sorted(failures))
    if not said:
        yield found(
            "undo-unreached",
            undone_by.call,
            undone_by.allow,
            f"{undone_by.queue} waits for {names}, which none of these services says, so it never undoes {step.queue}",
            "let the service that fails say it, or check this one together with that service",
        )
    elif speakers == {step.queue} and not (step.answer.lists or step.answer.tuples or said & types_of(step.scheduled)):
        yield found(
            "undo-unreached",
            undone_by.call,
            undone_by.allow,
            f"{undone_by.queue} waits for {names}, which only {step.queue} itself says, in place of what would be "
            "undone: such a run has nothing to undo",
            "hear the failure of a later step, or say it in on_dead of the step",
        )
