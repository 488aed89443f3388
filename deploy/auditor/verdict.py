"""Whether the counts balance, and the words for it. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.auditor.finding import Finding

#: What a whole demo must have had, at least.
LEAST: Mapping[str, int] = {
    "orders": 300,
    "declined": 20,
    "out_of_stock": 20,
    "delivered": 60,
    "timed_out": 10,
    "customers_cancelled": 20,
    "voids": 20,
    "refunds": 10,
    "releases": 20,
    "recalls": 10,
    "authorisation_requests_repeated": 20,
    "dead_letters": 3,
    "leads": 250,
    "webhooks": 120,
    "webhooks_doubled": 30,
    "webhooks_reordered": 20,
    "webhooks_refused": 20,
}
#: What must not be at all.
NONE = (
    "open", "lost", "unpaid", "doubled", "double_charges", "zombies", "letters_unexplained", "requests_while_open",
    "forged", "outdated", "viewed_otherwise",
)  # fmt: skip
#: Findings of one kind that are printed; all stand in the report.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence that must be true, with the numbers in it."""

    text: str
    holds: bool


def checks(counts: Mapping[str, int], least: Mapping[str, int] = LEAST) -> list[Check]:
    """Everything that must hold."""
    return [
        _equal(counts, "confirmed + cancelled", counts["confirmed"] + counts["cancelled"], "orders"),
        _equal(counts, "orders", counts["orders"], "told", "viewed"),
        _equal(counts, "authorisations - voids", counts["authorisations"] - counts["voids"], "captures"),
        *(
            _equal(counts, f"{done} - {undone}", counts[done] - counts[undone], "confirmed")
            for done, undone in (("captures", "refunds"), ("reservations", "releases"), ("parcels", "recalls"))
        ),
        _equal(counts, "dead_letters", counts["dead_letters"], "replayed", "handled_after_replay"),
        _equal(counts, "leads", counts["leads"], "leads_welcomed", "leads_synced", "leads_viewed"),
        _equal(counts, "people", counts["people"], "people_scored"),
        *(_none(name, counts[name]) for name in NONE),
        *(_least(name, counts[name], count) for name, count in least.items()),
    ]


def last_line(counts: Mapping[str, int]) -> str:
    """The counts that matter in any run, in one line."""
    named = ("orders", "confirmed", "cancelled", "open", "lost", "double_charges", "zombies", "letters_unexplained")
    return " ".join(f"{name.replace('_', ' ')} {counts[name]}" for name in named)


def _equal(counts: Mapping[str, int], text: str, value: int, *others: str) -> Check:
    sides = [f"{text} {value}", *(f"{name} {counts[name]}" for name in others)]
    holds = all(counts[name] == value for name in others)
    return Check(" = ".join(sides) if holds else f"{', '.join(sides)} must be the same", holds)


def _none(name: str, count: int) -> Check:
    return Check(f"{name} {count}", True) if not count else Check(f"{name} {count} must be 0", False)


def _least(name: str, count: int, least: int) -> Check:
    holds = count >= least
    return Check(f"{name} {count}, at least {least}" if holds else f"{name} {count} must be at least {least}", holds)


def green(made: Sequence[Check], findings: Sequence[Finding]) -> bool:
    """Whether everything holds and nothing was found."""
    return not findings and all(each.holds for each in made)


def told(made: Sequence[Check], findings: Sequence[Finding]) -> list[str]:
    """The verdict, line by line: what holds, what does not, and the findings by name."""
    lines = [f"  {'ok ' if each.holds else 'NOT'}  {each.text}" for each in made]
    counted = Counter(each.kind for each in findings)
    for kind, count in counted.items():
        lines.append(f"  {kind.upper()}: {count}")
        named = [each for each in findings if each.kind is kind]
        lines.extend(f"    {each.name}: {each.text}" for each in named[:SHOWN])
        if count > SHOWN:
            lines.append(f"    and {count - SHOWN} more")
    if green(made, findings):
        return [*lines, "Verdict: the books balance."]
    broken = [each.text for each in made if not each.holds]
    found = [f"{kind} {count}" for kind, count in counted.items()]
    return [*lines, f"Verdict: the books do NOT balance: {'; '.join([*found, *broken])}."]
