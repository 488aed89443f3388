"""How much of history may be in hand, so that live work does not wait for it (RULES 7.5 g). Pure."""

import math

#: Events of history in hand: at least, at most, at first, and more of them after each look that found nobody waiting.
LEAST, MOST, MORE = 16, 512, 16
#: Seconds between two looks; seconds that an event of history may take while there is live work, which waits as long;
#: and seconds for which live work counts after it was seen.
LOOK_SECONDS, SLOW_SECONDS, LIVE_SECONDS = 0.05, 0.02, 1.0
#: Where a commit alone takes longer, an event may take so many times of what it takes with the least in hand, which is
#: measured again after some seconds.
TIMES, MEASURE_SECONDS = 1.5, 10.0


class Pace:
    """The width grows while live work does not wait, and is halved where it does.

    What is in hand stands before a live delivery: as long as an event of history takes, so long that one waits. Near a
    cut of the log, and where there is no live work, the width is the most.
    """

    def __init__(self) -> None:
        self.width = 4 * LEAST
        self._looked = 0.0
        self._live = -LIVE_SECONDS
        self._sample: tuple[int, float, bool] | None = None  # an event in hand, since when, whether few were in hand
        self._took = 0.0  # the less of the last two: one alone may have waited for something else
        self._last = math.inf
        self._alone = 0.0  # what an event takes with the least in hand; 0: not known
        self._measured = 0.0
        self._halved = 0.0
        self._back = 0  # the width to go back to, once what an event takes alone is measured; 0: it is not measured

    def fed(self, offset: int, now: float, open: int = 0) -> None:
        """This event was given to the runner, with so many in hand; one at a time is timed."""
        if self._sample is None:
            self._sample = offset, now, max(self.width, open) <= LEAST

    def ended(self, low: int, now: float) -> None:
        """Everything before `low` is finished."""
        if self._sample is None or self._sample[0] >= low:
            return
        _, since, alone = self._sample
        took, self._sample = now - since, None
        self._took, self._last = min(took, self._last), took
        if alone:
            self._alone, self._measured = (self._alone + took) / 2 if self._alone else took, now
            if self._back:
                self.width, self._back = self._back, 0

    def look(self, now: float, *, live: bool, hurry: bool) -> None:
        """Set the width for the next while; `live`: another subscription has deliveries in hand."""
        if live:
            self._live = now
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if hurry or now - self._live >= LIVE_SECONDS:
            self.width, self._back = (MOST if hurry else min(max(self.width, self._back) + MORE, MOST)), 0
        elif not self._back:
            self._give_way(now)

    def _give_way(self, now: float) -> None:
        took = max(self._took, now - self._sample[1] if self._sample is not None else 0.0)
        allowed = max(SLOW_SECONDS, TIMES * self._alone)
        if took <= allowed:
            self.width = min(self.width + MORE, MOST)
        elif now - self._halved >= took:  # what was in hand before has ended since
            self.width, self._halved = max(self.width // 2, LEAST), now
        if self._alone and allowed > SLOW_SECONDS and now - self._measured >= MEASURE_SECONDS and self.width > LEAST:
            self._back, self.width = self.width, LEAST
