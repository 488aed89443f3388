"""How much of history may be in hand, so that live work does not wait for it (RULES 7.5 g). Pure."""

#: Events of history in hand: at least, at most, and more of them after each look that found nobody waiting.
LEAST, MOST, MORE = 16, 512, 16
#: Seconds between two looks, and seconds by which a look may be late before live work counts as waiting.
LOOK_SECONDS, LATE_SECONDS = 0.02, 0.02


class Pace:
    """The width grows while nobody waits, and is halved where live work does. Near a cut of the log it is the most."""

    def __init__(self) -> None:
        self.width = LEAST

    def look(self, late: float, *, live_waits: bool, hurry: bool) -> int:
        """The width until the next look: `late` is by how many seconds this one is late."""
        if hurry:
            self.width = MOST
        elif live_waits or late > LATE_SECONDS:
            self.width = max(self.width // 2, LEAST)
        else:
            self.width = min(self.width + MORE, MOST)
        return self.width
