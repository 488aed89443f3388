"""All findings of services that are checked together, and what their declarations allow. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hocket.declarations.choreography import Declarations
from hocket.declarations.findings.finding import Finding, found
from hocket.declarations.findings.flows import Flows
from hocket.declarations.findings.steps import step_findings
from hocket.declarations.findings.timeouts import timeout_findings
from hocket.declarations.findings.undos import undo_findings


def findings(declared: Sequence[Declarations], shortest: timedelta) -> list[Finding]:
    """What is found, those that are allowed included, by service and place."""
    flows = Flows(declared)
    every = [*step_findings(flows, shortest), *undo_findings(flows), *timeout_findings(flows)]
    return sorted(dict.fromkeys(every), key=lambda each: (each.file, each.line, each.code, each.sentence))


def unused(declared: Sequence[Declarations], every: Sequence[Finding]) -> Iterator[Finding]:
    """What declarations allow although it was not found here."""
    known = {(each.code, each.file, each.line) for each in every}
    for one in declared:
        for each in one.subscriptions.values():
            for at, allow in ((each.call, each.allow), (each.on_dead, each.on_dead_allow)):
                for code in allow if at is not None else ():
                    made = found(code, at or each.call, allow, f"{each.queue} allows what was not found here", "")
                    if (made.code, made.file, made.line) not in known:
                        yield made
