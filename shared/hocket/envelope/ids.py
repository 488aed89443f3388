"""New ids of events: UUIDv7, from a clock and a random source that are passed in."""

import os
import random

from hocket.clock import Clock

#: Ids whose random bits are drawn at once: a draw from the system is a call of the kernel.
DRAWN = 64
#: Hexadecimal digits that are drawn for one id; of the fourth only two bits are used.
_DIGITS = 19
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_fork = 0  # how often this process is a child of one that had this module


def _forked() -> None:
    global _fork  # noqa: PLW0603 -- a child must not use what was drawn before the fork
    _fork += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Ids:
    """Generates ids from a clock and a random source; the same clock, seed and calls give the same ids."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._drawn: list[str] = []
        self._fork = _fork

    def uuid7(self) -> str:
        """A new UUIDv7 as text: 48 bits of milliseconds, the rest random."""
        if not self._drawn or self._fork != _fork:
            self._fork = _fork
            text = f"{self._chance.getrandbits(4 * _DIGITS * DRAWN):0{_DIGITS * DRAWN}x}"
            self._drawn = [text[at : at + _DIGITS] for at in range(0, len(text), _DIGITS)]
        time, bits = f"{int(self._clock.now().timestamp() * 1000) & (2**48 - 1):012x}", self._drawn.pop()
        return f"{time[:8]}-{time[8:]}-7{bits[:3]}-{_VARIANTS[bits[3]]}{bits[4:7]}-{bits[7:]}"


def as_uuid(value: int) -> str:
    """The text of a UUID given as a number of 128 bits."""
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
