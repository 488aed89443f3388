"""Counts the subjects that wait behind a dead head, and says where more and more wait (RULES 9.6, 9.9)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hocket.declarations.subscription import Subscription
from hocket.runtime import Runtime
from hocket.store.ordering.tokens import Blocked, blocked

#: Seconds between two looks.
LOOK_SECONDS = 5.0
#: Deliveries behind dead heads of one subscription from which on it is told as trouble, and again at each double.
MANY_WAITING = 1000


@dataclass(slots=True)
class BlockedSubjects:
    """Looks at the lines of one service's ordered subscriptions, and of the generations that run here."""

    runtime: Runtime
    subscriptions: Mapping[str, Subscription]
    generations: Callable[[], Iterable[Subscription]] = tuple
    sample: dict[str, tuple[int, float]] = field(default_factory=dict)  # by queue: subjects, seconds of the oldest
    _looked: float = 0.0
    _told: dict[str, int] = field(default_factory=dict)

    async def look(self) -> None:
        """Look every `LOOK_SECONDS`, where something is ordered. `StoreError`: nothing is known."""
        every = (*self.subscriptions.values(), *self.generations())
        ordered = {each.identity: each.queue for each in every if each.ordered}
        self.sample = {queue: told for queue, told in self.sample.items() if queue in ordered.values()}
        now = self.runtime.clock.monotonic()
        if not ordered or (self._looked and now - self._looked < LOOK_SECONDS):
            return
        self._looked = now
        found = await blocked(self.runtime.store)
        seconds = self.runtime.clock.now().timestamp()
        for identity, queue in ordered.items():
            one = found.get(identity, Blocked())
            self.sample[queue] = (one.subjects, max(seconds - one.since, 0.0) if one.subjects else 0.0)
            self._tell(queue, one)

    def _tell(self, queue: str, found: Blocked) -> None:
        if found.waiting < MANY_WAITING:
            self._told.pop(queue, None)
        elif found.waiting >= 2 * self._told.get(queue, MANY_WAITING // 2):
            self._told[queue] = found.waiting
            self.runtime.trouble(
                "many deliveries wait behind dead ones: replay or discard the letters that block their subjects",
                subscription=queue, subjects=found.subjects, waiting=found.waiting,
            )  # fmt: skip
