"""Looks at what arrives before it runs, counts how it drifts, and keeps out what `quarantine` asks to (RULES 16)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import FIRST_ATTEMPT, Arrival
from hocket.drift.counting import About, DriftWatch
from hocket.drift.kinds import Finding
from hocket.drift.sentences import held_because
from hocket.envelope.cloudevent import OWN_TYPES
from hocket.outcome import Bury


@dataclass(slots=True)
class DriftGate:
    """The look at the arrivals of one subscription."""

    subscription: Subscription
    watch: DriftWatch = field(init=False)
    _whole: bool = field(init=False)

    def __post_init__(self) -> None:
        self.watch = DriftWatch(self.subscription.queue, self.subscription.drift)
        self._whole = self.subscription.drift == "quarantine"

    def look(self, arrivals: Iterable[Arrival]) -> None:
        """Compare each event with the model of the version in which it came, and set what keeps it out.

        A later attempt and a replay are not counted again; a replay is let through.
        """
        for each in arrivals:
            envelope = each.envelope
            if envelope is None or envelope.type.startswith(OWN_TYPES):
                continue
            path = self.subscription.upcast_paths.get((envelope.type, envelope.version))
            if path is None:
                continue
            invalid = isinstance(each.outcome, Bury) and each.outcome.cause == "invalid"
            if each.replay or each.attempt != FIRST_ATTEMPT:
                if self._whole and not each.replay:
                    self._hold(each, self.watch.judged(path.model, envelope.data))
                continue
            about = About(envelope.source, envelope.type, envelope.version, envelope.id)
            findings = self.watch.look(path.model, envelope.data, about, each.began, whole=invalid or self._whole)
            if self._whole and findings:
                self._hold(each, findings)

    @staticmethod
    def _hold(arrival: Arrival, findings: Sequence[Finding]) -> None:
        because = held_because(findings)
        if because and arrival.outcome is None:
            arrival.held = Bury("drift", because)
