"""What follows from the answers of the senders, the log, the books and what ingress kept. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Share of the pushes that senders may give up: each of their attempts met a process that was just dead.
GIVEN_UP = 0.01
#: Statuses that a sender may see beside 2xx: nothing (0), too many, not now.
NOT_NOW = {0, 429, 503}
#: Samples of one sender that one hour may leave.
MOST_SAMPLES = 20
#: The contents that one id may have.
CONTENTS = ("first", "other")
#: Causes under which a genuine delivery may be kept, and a sample.
CAUSES = {"unparsable": "unparsable", "contract": "contract"}
REFUSALS = {"signature", "skew"}


@dataclass(slots=True)
class Kept:
    """One row of what ingress keeps."""

    number: str  # "" where its body has none
    source: str
    state: str
    cause: str
    flow: str


@dataclass(slots=True)
class Seen:
    """Everything that was found."""

    events: dict[str, dict[str, set[tuple[str, str]]]] = field(  # number: what: (identity, flow)
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    copies: int = 0  # messages of the log, those of one identity each counted
    books: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)  # subscriber: (number, what): times
    kept: list[Kept] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """What follows from it."""

    kills: int
    deliveries: int = 0
    events: int = 0
    pushes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    given_up: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.doubled or self.strange)

    def line(self) -> str:
        """The last line of a run."""
        return (
            f"kills {self.kills} deliveries {self.deliveries} events {self.events} lost {len(self.lost)} "
            f"doubled {len(self.doubled)} strange {len(self.strange)}"
        )

    def figures(self) -> str:
        """What it took."""
        answered = ", ".join(f"{status or 'no answer'} {times}" for status, times in sorted(self.statuses.items()))
        kept = ", ".join(f"{what} {times}" for what, times in sorted(self.kept.items()))
        return f"pushes {self.pushes}, attempts: {answered}; given up {self.given_up}; kept: {kept or 'nothing'}"


@dataclass(slots=True)
class _Pushed:
    """What the senders saw of one delivery."""

    flows: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by content
    statuses: Counter[int] = field(default_factory=Counter)


def judge(due: Mapping[str, str], answers: Sequence[Mapping[str, Any]], seen: Seen, kills: int) -> Verdict:
    """Compare what was found with what must have become of each delivery (number: as `plan.Due`)."""
    verdict = Verdict(kills, sum(each != "refused" for each in due.values()), copies_of(seen))
    pushed = _pushed(verdict, answers)
    kept: dict[str, list[Kept]] = defaultdict(list)
    for row in seen.kept:
        kept[row.number].append(row)
        verdict.kept[f"{row.state} {row.cause}"] += 1
    for number, become in due.items():
        one = pushed.get(number, _Pushed())
        _answered(verdict, number, become, one.statuses)
        _events(verdict, number, become, one, seen)
        _kept(verdict, number, become, one, kept.get(number, []))
        _flows(verdict, number, one, seen.events.get(number, {}), kept.get(number, []))
    _unknown(verdict, due, seen)
    if verdict.given_up > max(1, GIVEN_UP * verdict.pushes):
        verdict.strange.append(f"senders gave up {verdict.given_up} of {verdict.pushes} pushes")
    return verdict


def copies_of(seen: Seen) -> int:
    """How many events the log has, each identity once."""
    return sum(len({id for id, _ in of}) for whats in seen.events.values() for of in whats.values())


def _pushed(verdict: Verdict, answers: Sequence[Mapping[str, Any]]) -> dict[str, _Pushed]:
    pushed: dict[str, _Pushed] = defaultdict(_Pushed)
    for each in answers:
        one = pushed[each["number"]]
        statuses = Counter({int(status): times for status, times in each["statuses"].items()})
        one.statuses += statuses
        if each["flows"]:
            one.flows[each["what"]] |= {flow for flow in each["flows"] if flow} or {""}
        verdict.pushes += 1
        verdict.statuses += statuses
        verdict.given_up += bool(each["given_up"])
    return pushed


def _answered(verdict: Verdict, number: str, become: str, statuses: Counter[int]) -> None:
    allowed = NOT_NOW | ({401} if become == "refused" else {202})
    for status in statuses:
        if status not in allowed:
            verdict.strange.append(f"{number}, to be {become}, was answered {status}")


def _events(verdict: Verdict, number: str, become: str, one: _Pushed, seen: Seen) -> None:
    """One event and one line in each book, where a sender had a 2xx; else one or none, but the same everywhere."""
    said = [(what, id) for what, of in seen.events.get(number, {}).items() for id in {id for id, _ in of}]
    written = {
        name: [what for what in CONTENTS for _ in range(book[number, what])] for name, book in seen.books.items()
    }
    if become != "said":
        if said or any(written.values()):
            verdict.strange.append(f"{number}, to be {become}, is an event or stands in a book")
        return
    if one.flows and not said:
        verdict.lost.append(f"{number} was answered 202 and is not in the log")
    if len(said) > 1:
        verdict.doubled.append(f"{number} was said {len(said)} times: {', '.join(sorted(what for what, _ in said))}")
    for name, whats in written.items():
        if len(whats) > max(1, len(said)):
            verdict.doubled.append(f"{number} stands {len(whats)} times in the book of {name}")
        elif len(whats) < len(said) or (one.flows and not whats):
            verdict.lost.append(f"{number} is not in the book of {name}")
        elif sorted(whats) != sorted(what for what, _ in said):
            verdict.strange.append(f"{number} in the book of {name} is not what the log has")


def _kept(verdict: Verdict, number: str, become: str, one: _Pushed, rows: Sequence[Kept]) -> None:
    """What cannot be said is kept once; of two contents under one id one is; nothing else is."""
    open = [row for row in rows if row.state == "kept"]
    for row in rows:
        if row.state not in {"kept", "refused"} or (row.state == "refused") != (become == "refused"):
            verdict.strange.append(f"{number}, to be {become}, stands among the kept as {row.state}, {row.cause}")
        elif row.state == "refused" and row.cause not in REFUSALS:
            verdict.strange.append(f"{number} was sampled as {row.cause}")
    wanted = CAUSES.get(become, "conflict" if len(one.flows) > 1 else "")
    for row in open:
        if row.cause != (CAUSES.get(become) or "conflict") or become not in {*CAUSES, "said"}:
            verdict.strange.append(f"{number}, to be {become}, was kept as {row.cause}")
    if wanted and one.flows and not open:
        verdict.lost.append(f"{number} was answered 202 and is not kept as {wanted}")
    if len(open) > 1:
        verdict.doubled.append(f"{number} is kept {len(open)} times")


def _flows(
    verdict: Verdict, number: str, one: _Pushed, events: Mapping[str, set[tuple[str, str]]], rows: Sequence[Kept]
) -> None:
    """Each content has one flow: in every answer, and in what became of it."""
    for what, flows in one.flows.items():
        if len(flows) > 1:
            verdict.strange.append(f"{number}, {what}, was answered with {len(flows)} flows")
        said = {flow for _, flow in events.get(what, set())}
        became = said | {row.flow for row in rows if row.state == "kept"}
        if became and not flows & (became | {""}):
            verdict.strange.append(f"{number}, {what}, was answered with a flow that nothing has")


def _unknown(verdict: Verdict, due: Mapping[str, str], seen: Seen) -> None:
    """What nobody has pushed."""
    for number in seen.events:
        if number not in due:
            verdict.strange.append(f"an event of {number}, which nobody pushed")
    for name, book in seen.books.items():
        for number, _ in book:
            if number not in due:
                verdict.strange.append(f"a line of {number} in the book of {name}, which nobody pushed")
    samples = Counter(row.source for row in seen.kept if row.state == "refused")
    for source, times in samples.items():
        if times > MOST_SAMPLES:
            verdict.strange.append(f"{times} samples of {source}, {MOST_SAMPLES} an hour are promised")
    for row in seen.kept:
        if row.number not in due:
            verdict.strange.append(f"kept of {row.source} as {row.cause}: a body that nobody pushed")
    verdict.strange.extend(f"a letter: {letter}" for letter in seen.letters)
