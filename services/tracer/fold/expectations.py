"""Which subscriptions are expected to hear which event, by every manifest ever seen. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hocket.console.facts import Manifest


@dataclass(frozen=True, slots=True)
class Expectation:
    """That a subscription hears an event, known since its first manifest; `undo_of` names the step it undoes.

    `until` is the last heartbeat of a service that a person retired; of what was said later nothing is expected.
    """

    subscription: str
    since: datetime
    undo_of: str = ""
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether it is expected to hear what was said at this moment."""
        return self.since <= moment and (self.until is None or moment <= self.until)


#: Who is expected to hear each event, by (type, version).
Expected = Mapping[tuple[str, int], tuple[Expectation, ...]]


def expectations(manifests: Iterable[tuple[Manifest, datetime]]) -> Expected:
    """Who is expected to hear what, from every manifest ever seen and when it was first seen (RULES 7.6).

    A subscription is expected from its first manifest on; what a later manifest leaves out stays expected, since its
    binding stays.
    """
    first: dict[tuple[tuple[str, int], str, str], datetime] = {}
    for manifest, since in manifests:
        for each in manifest.subscriptions:
            for name in each.why if each.undo_of else each.hears:
                key = (name, each.name, each.undo_of)
                first[key] = min(since, first.get(key, since))
    found: dict[tuple[str, int], list[Expectation]] = {}
    for (name, subscription, undo_of), since in sorted(first.items()):
        found.setdefault(name, []).append(Expectation(subscription, since, undo_of))
    return {name: tuple(each) for name, each in found.items()}
