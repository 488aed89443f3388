"""Findings about time-outs that each service alone declares rightly (RULES 5.7 g, h; docs/checks.md). Pure.

They know the services that are checked together; what others say is unknown and no finding.
"""

from collections.abc import Iterator

from hocket.declarations.findings.finding import Finding, found, seconds, types_of
from hocket.declarations.findings.flows import Flows, failures_of
from hocket.declarations.subscription import Overdue, Subscription


def timeout_findings(flows: Flows) -> Iterator[Finding]:
    """`late-standing`, `overdue-flow`, `overdue-unended`, `overdue-short` and `overdue-unheard`, by time-out."""
    failures = {type_ for each in flows.every for type_ in failures_of(each)}
    for each in flows.every:
        if each.overdue is None:
            continue
        # A failure answers too, but nobody waits for it; what the time-out says itself is never a late answer.
        awaited = types_of(each.overdue.unless) - failures - types_of(each.says)
        yield from _standing(each, each.overdue, awaited, flows)
        if not each.overdue.across:
            yield from _missed(each, each.overdue, flows)
        yield from _unended(each, each.overdue, failures, flows)
        yield from _short(each, each.overdue, awaited, flows)
        if flows.together:
            yield from _unheard(each, flows)


def _standing(each: Subscription, overdue: Overdue, awaited: set[str], flows: Flows) -> Iterator[Finding]:
    """What the time-out takes back stays done where the answer is late."""
    if overdue.late != "undone":
        return
    says = types_of(each.says)
    for speaker in flows.every:
        answers = sorted(types_of(speaker.says) & awaited)
        if not answers or speaker is each or says & failures_of(speaker):
            continue
        how = "is undone by other events" if speaker.undone_by else "has no undo"
        taken = " or ".join(sorted(says)) or "what the time-out says, which is nothing yet,"
        yield found(
            "late-standing",
            each.call,
            each.allow,
            f"{each.queue} goes on when {answers[0]} is late, and {speaker.queue}, which says it, {how}: both would "
            "stand",
            f'let its undo take {taken} too, or write late="accepted" where a late answer may stand',
        )


def _missed(each: Subscription, overdue: Overdue, flows: Flows) -> Iterator[Finding]:
    """An answer that may come in another flow than the arming, of which a time-out without `across` learns nothing."""
    arming = types_of(each.heard)
    own = flows.roots(arming)
    for answer in sorted(types_of(overdue.unless) - arming):
        if how := flows.elsewhere(answer, own):
            yield found(
                "overdue-flow",
                each.call,
                each.allow,
                f"{each.queue} is answered by {answer}, which {how}: in a flow of its own it answers nothing, and the "
                "time-out fires",
                "add across=True, with by= naming what happens once, or say it in the flow that armed, by "
                "service.tx(correlation_id=...)",
            )


def _unended(each: Subscription, overdue: Overdue, failures: set[str], flows: Flows) -> Iterator[Finding]:
    """A failure of the flow that does not answer the time-out, which then fires for a flow that was undone already."""
    flow = flows.around(types_of(each.heard))
    for failure in sorted((failures & flow) - types_of(overdue.unless) - types_of((*each.says, *each.on_dead_says))):
        yield found(
            "overdue-unended",
            each.call,
            each.allow,
            f"{each.queue} fires also in a flow that {failure} has undone",
            "add it to unless=, so that it answers",
        )


def _short(each: Subscription, overdue: Overdue, awaited: set[str], flows: Flows) -> Iterator[Finding]:
    """A time-out that is over while what it waits for may still be tried again."""
    for speaker in flows.every:
        answers = sorted(types_of(speaker.says) & awaited)
        longest = speaker.retry.budget(speaker.timeout)
        if answers and speaker is not each and longest > overdue.within.total_seconds():
            yield found(
                "overdue-short",
                each.call,
                each.allow,
                f"{each.queue} waits {seconds(overdue.within.total_seconds())} for {answers[0]}, and {speaker.queue} "
                f"may need {seconds(longest)} with all its retries",
                "wait longer, or let it retry for less",
            )


def _unheard(each: Subscription, flows: Flows) -> Iterator[Finding]:
    """What a time-out says in vain."""
    heard = {type_ for other in flows.every for type_, _ in other.bound}
    for type_ in sorted(types_of(each.says) - heard):
        yield found(
            "overdue-unheard",
            each.call,
            each.allow,
            f"{each.queue} says {type_}, and none of these services hears it",
            "let somebody hear it, or allow it where the row of the time-out is all that is wanted",
        )
