"""How much of history may be in hand, so that live work does not wait for it (RULES 7.5 g). Pure."""

#: Events of history in hand: at least, at most, at first, and more of them after each look that found nobody waiting.
LEAST, MOST, MORE = 16, 512, 16
#: Seconds between two looks; seconds that an event of history may take while there is live work, which waits as long;
#: and seconds for which live work counts after it was seen.
LOOK_SECONDS, SLOW_SECONDS, LIVE_SECONDS = 0.05, 0.02, 1.0


class Pace:
    """The width grows while live work does not wait, and is halved where it does.

    What is in hand stands before a live delivery: as long as an event of history takes, so long that one waits. Near a
    cut of the log, and where there is no live work, the width is the most.
    """

    def __init__(self) -> None:
        self.width = 4 * LEAST
        self._looked = 0.0
        self._live = -LIVE_SECONDS
        self._sample: tuple[int, float] | None = None  # an event in hand, and since when
        self._took = 0.0

    def fed(self, offset: int, now: float) -> None:
        """This event was given to the runner; one at a time is timed."""
        if self._sample is None:
            self._sample = offset, now

    def ended(self, low: int, now: float) -> None:
        """Everything before `low` is finished."""
        if self._sample is not None and self._sample[0] < low:
            self._took, self._sample = now - self._sample[1], None

    def look(self, now: float, *, live: bool, hurry: bool) -> None:
        """Set the width for the next while; `live`: another subscription has deliveries in hand."""
        if live:
            self._live = now
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        took = max(self._took, now - self._sample[1] if self._sample is not None else 0.0)
        if not hurry and took > SLOW_SECONDS and now - self._live < LIVE_SECONDS:
            self.width = max(self.width // 2, LEAST)
        else:
            self.width = MOST if hurry else min(self.width + MORE, MOST)
