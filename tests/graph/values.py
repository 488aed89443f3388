"""What the product answers in the graph, and what messages and rows are to it: values with numbers."""

from typing import Any, NamedTuple

from hocket.broker.port import Message


class Taken(NamedTuple):
    """A delivery that was admitted: the rows after it, what is in hand, whether it calls the outside."""

    rows: int
    hand: int
    calls: bool
    waits: bool  # another run of it is in progress
    known: bool  # it has ended before, or is void: nothing is decided at its commit


class Ended(NamedTuple):
    """A delivery that was committed: the rows after it, whether it won, what goes out."""

    rows: int
    won: bool
    out: tuple[int, ...]
    letters: tuple[int, ...]
    said: tuple[int, ...] = ()


class Said(NamedTuple):
    """An event that was said: of which type, about what, under which key."""

    type: str
    thing: str
    key: str


class Post(NamedTuple):
    """One message in one queue."""

    service: int
    queue: str
    message: Message
    type: str
    thing: str
    event: bool  # said, by whomever
    alarm: bool
    redelivered: bool = False


class Told(NamedTuple):
    """What a snapshot says that the graph judges by."""

    runs: tuple[tuple[str, str, str, int], ...]  # step, thing, state, generation
    timers: tuple[tuple[str, str, str, int], ...]  # subscription, thing, state, periods
    armed: bool
    owned: bool


class Interned:
    """Values and their numbers."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, key: Any, value: Any = None) -> int:
        """The number of this key; `value` is what it stands for, the key itself by default."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.values)
            self.values.append(key if value is None else value)
        return found


def thing_of(text: str) -> str:
    """What a subject or a scope names: `1` of `order/1` and of `["1"]`."""
    return text.rpartition("/")[2].strip('["]')
