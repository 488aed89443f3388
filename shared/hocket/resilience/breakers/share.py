"""What one replica may do of a limit that all share: its part of the calls at once, and of the calls in a window. Pure.

Each living replica holds its part, in whole numbers, so that all parts together are never more than the limit. A part
that shrinks does so at once; one that grows waits until every replica has learnt who lives.
"""

from collections.abc import Sequence

from hocket.breaker import Breaker

#: A bucket holds this part of what a window allows, at least one.
BURST_PART = 10
#: Tokens come this much slower than the window allows, so that no window sees one call more.
SLOWER = 1.05


def part_of(limit: int, owner: str, living: Sequence[str]) -> int:
    """The part of `limit` that belongs to `owner`; 0 where more replicas live than the limit has places."""
    owners = sorted({*living, owner})
    each, over = divmod(limit, len(owners))
    return each + (owners.index(owner) < over)


class Part:
    """The part of one limit that this replica holds. `settle` is how many seconds a larger part waits.

    Times are monotonic seconds.
    """

    def __init__(self, limit: int, owner: str, settle: float) -> None:
        self._limit = limit
        self._owner = owner
        self._settle = settle
        self._wanted: int | None = None
        self._since = 0.0
        self._have = 0

    def learn(self, living: Sequence[str], now: float) -> None:
        """These owners live. Who is alone from the start waits for nobody."""
        part = part_of(self._limit, self._owner, living)
        if self._wanted is None and set(living) <= {self._owner}:
            self._have = part
        if part != self._wanted:
            self._wanted, self._since = part, now
        self._have = min(self._have, part)

    def have(self, now: float) -> int:
        """How much of the limit this replica may use now."""
        if self._wanted is not None and self._have < self._wanted and now - self._since >= self._settle:
            self._have = self._wanted
        return self._have


class Bucket:
    """Tokens for calls: no `window` seconds see more calls begin than the part allows."""

    def __init__(self, part: Part, window: float) -> None:
        self._part = part
        self._window = window
        self._tokens = 0.0
        self._at: float | None = None  # when tokens were last made

    def wait(self, now: float) -> float:
        """Seconds until a token may be taken: 0 now, infinite where this replica has no part."""
        most = self._part.have(now)
        if not most:
            self._tokens, self._at = 0.0, now
            return float("inf")
        burst = max(1, most // BURST_PART)
        pace = (most - burst + 1) / (SLOWER * self._window)
        if self._at is None:
            self._tokens, self._at = 1.0, now
        self._tokens = min(float(burst), self._tokens + (now - self._at) * pace)
        self._at = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / pace

    def ready(self, now: float) -> int:
        """How many tokens there are."""
        return 0 if self.wait(now) else int(self._tokens)

    def take(self) -> None:
        """Take one of those that are ready."""
        self._tokens -= 1


class Flight:
    """Calls at once."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.out = 0

    def free(self, now: float) -> int:
        """How many more calls may begin now."""
        return max(0, self._part.have(now) - self.out)


#: Seconds until the next look where as many calls are out as may be, and the longest wait for a token between two.
FLIGHT_SECONDS = 0.1
LOOK_SECONDS = 1.0


class Limits:
    """The limits of one breaker, as far as this replica goes: calls at once, in a second, in a minute."""

    def __init__(self, breaker: Breaker, owner: str, settle: float) -> None:
        self._flight: Flight | None = None
        self._parts: list[Part] = []
        self._buckets: list[Bucket] = []
        if breaker.in_flight is not None:
            self._parts.append(Part(breaker.in_flight, owner, settle))
            self._flight = Flight(self._parts[0])
        for limit, window in ((breaker.per_second, 1.0), (breaker.per_minute, 60.0)):
            if limit is not None:
                self._parts.append(Part(limit, owner, max(settle, window)))
                self._buckets.append(Bucket(self._parts[-1], window))

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._parts)

    def learn(self, living: Sequence[str], now: float) -> None:
        """These owners live."""
        for part in self._parts:
            part.learn(living, now)

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried."""
        full = self._flight is not None and not self._flight.free(now)
        return max([each.wait(now) for each in self._buckets] + [FLIGHT_SECONDS if full else 0.0])

    def take(self) -> None:
        """A call begins, for which there is nothing to wait."""
        for each in self._buckets:
            each.take()
        if self._flight is not None:
            self._flight.out += 1

    def give_back(self) -> None:
        """A call has ended."""
        if self._flight is not None:
            self._flight.out -= 1

    def admits(self, now: float, in_progress: int) -> tuple[int | None, float]:
        """How many deliveries may begin (None: as many as come), and seconds until the next look where none may."""
        allowed: int | None = None
        wait = 0.0
        if self._flight is not None:
            allowed = max(0, self._flight.free(now) - max(0, in_progress - self._flight.out))
            wait = 0.0 if allowed else FLIGHT_SECONDS
        for each in self._buckets:
            if (due := each.wait(now)) > 0:
                allowed, wait = 0, min(max(wait, due, 0.001), LOOK_SECONDS)
            else:
                allowed = min(each.ready(now), allowed if allowed is not None else each.ready(now))
        return allowed, wait
