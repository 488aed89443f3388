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


#: What the books of the outside say of one key.
STANDS, BACK, BLOCKED, USED = "stands", "back", "blocked", "used"


class Queued(NamedTuple):
    """A delivery in its queue; `stood`: before an alarm of its queue was called."""

    post: int
    stood: bool = False


class Hand(NamedTuple):
    """What a replica handles; `live` False: its lease is over, and the delivery is in the queue again."""

    post: int
    hand: int
    calls: bool
    got: str = ""
    live: bool = True


class Harm(NamedTuple):
    """How often each kind of it may happen yet."""

    crashes: int = 0
    pauses: int = 0
    copies: int = 0
    errors: int = 0  # of a step's call
    deaths: int = 0  # of an undo
    replays: int = 0
    stops: int = 0  # of a process in order
    unknown: int = 0  # commits whose outcome nobody knows
    deferrals: int = 1
    dues: int = 9  # periods that may be over


class Act(NamedTuple):
    """What the outside has in its books: which step has done what, and under which key."""

    step: str
    thing: str
    key: str
    state: str


class State(NamedTuple):
    """Everything that decides what may happen next."""

    rows: tuple[int, ...]  # of each service
    queue: tuple[Queued, ...]
    harm: Harm
    hands: tuple[Hand | None, ...] = (None, None)
    boots: tuple[int, ...] = (0, 0)
    books: tuple[Act, ...] = ()
    said: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()
    unrecorded: tuple[tuple[str, str], ...] = ()  # step, thing: acted after its lease was over, then died
    answered: tuple[tuple[str, str], ...] = ()  # time-outs that were answered before they fired
    bad_move: str = ""  # what the last move did that must never happen; "": nothing
