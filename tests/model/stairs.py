"""A model of nothing: stairs, to show how the explorer and its program work."""

from collections.abc import Iterator
from dataclasses import dataclass

TOP = 10


@dataclass(frozen=True)
class Stairs:
    """Up by one or two steps to the tenth; one of them may be bad."""

    bad: int | None = None

    def first(self) -> int:
        """The foot."""
        return 0

    def moves(self, state: int) -> Iterator[tuple[str, int]]:
        """One or two steps up."""
        for by in (1, 2):
            if state + by <= TOP:
                yield f"+{by}", state + by

    def wrong(self, state: int) -> str:
        """The bad step breaks."""
        return "it breaks" if state == self.bad else ""
