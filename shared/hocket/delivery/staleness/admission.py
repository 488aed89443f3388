"""Admits what is about its subject: an older value ends stale, what has a predecessor waits for it (RULES 15)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hocket.delivery.arrival import Arrival
from hocket.delivery.staleness.work import AFTER, MOST_AHEAD, SubjectWork, Verdict, judge_value, left_of, work_of
from hocket.outcome import Again, Stale
from hocket.runtime import Runtime
from hocket.store.subjects.port import Sight

#: Seconds by which the clock of a process may differ from the store's: nearer values are not asked about (RULES 11.3).
CLOCK_DOUBT = 60.0


@dataclass(slots=True)
class SubjectAdmission:
    """Admits arrivals of one service; `judge` sets the outcome that follows from an inbox row."""

    runtime: Runtime
    judge: Callable[[Arrival], None]

    async def before_steps(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Those that may begin; a step that waits does not begin. All are of one subscription."""
        if arrivals[0].subscription.after is None:
            return arrivals
        rows = await self.runtime.store.inbox([each.key for each in arrivals])
        for each in arrivals:
            each.row = rows.get(each.key)
            self.judge(each)
        await self.admit([each for each in arrivals if each.outcome is None])
        return [each for each in arrivals if each.outcome is None]

    async def admit(self, arrivals: Sequence[Arrival]) -> None:
        """Set what each is to its subject, and the outcome of those that are stale or wait.

        All are of one subscription. `StoreError` admits none.
        """
        if not arrivals:
            return
        subscription = arrivals[0].subscription
        if subscription.latest_by is None and subscription.after is None:
            return
        for each in arrivals:
            each.about, compares = work_of(subscription, each.event, each.known, each.delivery.headers)
            if not compares:
                self._say(each, "a value is no number, and counts for no other event of its subject")
        sight = await self.runtime.store.subjects.look(
            [each.about.latest.key for each in arrivals if each.about is not None and each.about.latest is not None],
            [each.about.first for each in arrivals if each.about is not None and each.about.first],
        )
        now = await self._now(arrivals, sight)
        for each in arrivals:
            self._decide(each, sight, now)

    async def _now(self, arrivals: Sequence[Arrival], sight: Sight) -> float:
        """The store's clock where a value may lie ahead of it, or a wait may be over (RULES 11.1).

        Else the service's own is near enough.
        """
        here, works = self.runtime.clock.now().timestamp(), [each.about for each in arrivals if each.about is not None]
        ahead = max((each.moment for each in works), default=0.0) > here + MOST_AHEAD - CLOCK_DOUBT
        waits = any(each.row is not None and _must_wait(each.about, sight) for each in arrivals)
        return (await self.runtime.store.clock.time()).now if ahead or waits else here

    def _decide(self, arrival: Arrival, sight: Sight, now: float) -> None:
        about, subscription = arrival.about, arrival.subscription
        if about is None:
            return
        if about.latest is not None:
            match judge_value(about.latest.row, sight.latest.get(about.latest.key), about.moment, now):
                case Verdict.STALE:
                    arrival.outcome = Stale()
                    return
                case Verdict.AHEAD:
                    about.latest = None
                    self._say(arrival, "a value lies in the future, and counts for no other event of its subject")
        if subscription.after is None or not _must_wait(about, sight):
            return
        left = left_of(subscription.within.total_seconds(), arrival.row, now)
        about.waits, about.waited = left > 0, left <= 0
        if about.waits:
            why = f"{subscription.after.queue} has handled none of this subject yet"
            arrival.outcome = Again(timedelta(seconds=left), deferred=True, cause=AFTER, error=why)

    def _say(self, arrival: Arrival, what: str) -> None:
        subscription, field = arrival.subscription, arrival.subscription.latest_by
        name = field.field if field is not None else ""
        self.runtime.trouble(what, subscription=subscription.queue, field=name, event=arrival.known.id)


def _must_wait(about: SubjectWork | None, sight: Sight) -> bool:
    """Whether its predecessor has handled none of its subject yet."""
    return about is not None and bool(about.first) and about.first not in sight.done
