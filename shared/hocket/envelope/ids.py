"""New ids of events: UUIDv7, from a clock and a random source that are passed in."""

import random

from hocket.clock import Clock


class Ids:
    """Generates ids from a clock and a random source; the same clock, seed and calls give the same ids."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance

    def uuid7(self) -> str:
        """A new UUIDv7 as text: 48 bits of milliseconds, the rest random."""
        milliseconds = int(self._clock.now().timestamp() * 1000) & (2**48 - 1)
        bits = self._chance.getrandbits(74)
        value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (2**62 - 1)
        return as_uuid(value)


def as_uuid(value: int) -> str:
    """The text of a UUID given as a number of 128 bits."""
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
