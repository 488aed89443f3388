"""The judgement: the auditor's findings, the letters nobody can explain, and the timelines of whatever is wrong."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.auditor.evidence import Evidence, read
from deploy.auditor.finding import Finding, Kind
from deploy.auditor.judging import judge
from deploy.auditor.verdict import last_line
from deploy.demo.place import StepFailed
from deploy.demo.story import places_of
from deploy.demo.world import World
from tests.chaos.letters import unexplained
from tests.chaos.plan import Act
from tests.chaos.play.site import Site

#: States of a flow in the tracer that must not be left after the peace.
UNSETTLED = ("running", "waiting", "open-letter", "zombie")
#: Findings printed; all stand in the file. Flows whose timeline is kept.
SHOWN, MOST_FLOWS = 20, 200

NOTHING: Mapping[str, Sequence[str]] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, and the last line."""

    findings: tuple[Finding, ...]
    line: str

    @property
    def green(self) -> bool:
        """Whether nothing is."""
        return not self.findings


def verdict_of(
    evidence: Evidence, acts: Sequence[Act], missed: Sequence[str], unsettled: Mapping[str, Sequence[str]] = NOTHING
) -> Verdict:
    """Judge the books, and that the tracer agrees (`unsettled`: flows by state); `missed` is red whatever they say.

    Calls while a breaker had to be open are not judged: the chaos closes breakers by hand.
    """
    counts, found = judge(evidence)
    findings = [each for each in found if each.kind is not Kind.HAMMERED]
    named = {each.name for each in findings}
    for letter in unexplained(evidence.letters, acts):
        if (name := f"letter {letter['id']}") not in named:
            text = f"{letter['subscription']} gave up ({letter['cause']}: {letter['error']}), which no act explains"
            findings.append(Finding(Kind.LETTER, name, text))
    for state, flows in unsettled.items():
        kind = Kind.ZOMBIE if state == "zombie" else Kind.OPEN
        findings += [
            Finding(kind, each.partition(" ")[0], f"its flow is {state} in the tracer: {each}") for each in flows
        ]
    findings += [Finding(Kind.LOST, "the run", each) for each in missed]
    wrong = Counter(each.kind for each in findings)
    counted = {"open": Kind.OPEN, "zombies": Kind.ZOMBIE, "letters_unexplained": Kind.LETTER}
    line = last_line({**counts, **{name: wrong[kind] for name, kind in counted.items()}})
    return Verdict(tuple(findings), line)


async def traced(world: World) -> dict[str, list[str]]:
    """The flows that the tracer does not show as ended, by their state."""
    found: dict[str, list[str]] = {}
    for state in UNSETTLED:
        _, page = await world.ask("GET", "tracer", f"/api/flows?state={state}&limit={SHOWN}")
        if flows := page.get("flows"):
            found[state] = [f"{each['subject']} ({each['id']})" for each in flows]
    return found


async def evidence_of(site: Site) -> Evidence:
    """Everything that outsiders see. Raises `Unreadable`."""
    return await read(places_of(site))


async def leave(site: Site, world: World, verdict: Verdict, evidence: Evidence, plan: Sequence[Act]) -> None:
    """Write the findings with each flow's timeline, the plan, and the links, where a red run is looked into."""
    flows: dict[str, Any] = {}
    letters = {f"letter {each['id']}": each for each in evidence.letters}
    for each in verdict.findings[:MOST_FLOWS]:
        subject = ((letters.get(each.name) or {}).get("event") or {}).get("subject") or each.name
        if "/" in subject and subject not in flows:
            flows[subject] = await _timeline(world, subject)
    report = {
        "line": verdict.line,
        "findings": [{"kind": each.kind, "name": each.name, "text": each.text} for each in verdict.findings],
        "links": {subject: f"{site.url('tracer')}/subjects/{subject}" for subject in flows},
        "letters": [each for each in evidence.letters if each["state"] != "obsolete"],
        "flows": flows,
        "plan": [str(act) for act in plan],
    }
    site.findings.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


async def _timeline(world: World, subject: str) -> Any:
    """The flows of a subject as the tracer tells them, or why it does not."""
    try:
        _, found = await world.ask("GET", "tracer", f"/api/subjects/{subject}")
        named = [each["id"] for each in found.get("flows", [])]
        return [(await world.ask("GET", "tracer", f"/api/flows/{name}"))[1] for name in named] or found
    except StepFailed as failed:
        return str(failed)


def told(verdict: Verdict) -> list[str]:
    """The findings, line by line."""
    lines = [f"  {each.kind}: {each.name}: {each.text}" for each in verdict.findings[:SHOWN]]
    if len(verdict.findings) > SHOWN:
        lines.append(f"  and {len(verdict.findings) - SHOWN} more")
    return lines
