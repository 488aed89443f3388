"""What the lanes of one flow are made of: geometry and words, which the template only draws. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.tracer.fold.deliveries import Delivery
from services.tracer.fold.timeouts import TimeOut
from services.tracer.read.facts import Said
from services.tracer.show.timescale import Fold, Tick

#: Sizes in px. The lane's name stands left of the time.
WIDTH, LEFT, RIGHT, TOP, ROW, LANE_PADDING, BAR = 1232.0, 152.0, 150.0, 36.0, 44.0, 6.0, 12.0
#: Where the time begins.
START = LEFT + 16.0
#: Room of one character of a label, and of the state's mark.
CHARACTER, MARK = 7.2, 16.0
#: Deliveries and events that are drawn; the table has all of them.
MAX_DRAWN = 300
#: Characters of one label that are drawn; the whole stands in its name.
MAX_LABEL = 40
#: More hearers of one event than this are one bracket.
MAX_HEARERS = 8
#: Links to other flows of one item.
MAX_LINKS = 3
#: What is said of an attempt that left no end.
LOST = "an earlier run of this attempt left no end: its process died or was stopped"


class Bar(NamedTuple):
    """A piece of a run: an attempt, or waiting between attempts; `tone` is its class."""

    x: float
    width: float
    tone: str
    title: str


class Point(NamedTuple):
    """A said event, at its moment."""

    id: str
    x: float
    y: float
    label: str
    unheard: bool
    said: Said


class Sign(NamedTuple):
    """A state's mark on an item: a breaker that changed, a time-out that was met, fired or answered late."""

    x: float
    symbol: str
    tone: str
    title: str


class FlowLink(NamedTuple):
    """A way to another flow, at the end of an item; without a flow it says that there is none."""

    x: float
    label: str
    flow: str
    title: str


@dataclass(slots=True)
class Item:
    """One run or one event said outside a run, as wide as its drawing with its words."""

    lane: str
    x: float
    end: float
    key: str
    label: str = ""
    aside: str = ""
    name: str = ""  # the whole name, for who does not see it
    bars: list[Bar] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)  # where a square stands, one for each death
    dead: float = 0.0  # where its last square stands, 0: it is not dead now
    zombie: bool = False
    delivery: Delivery | None = None
    timeout: TimeOut | None = None
    signs: list[Sign] = field(default_factory=list)
    links: list[FlowLink] = field(default_factory=list)
    said_here: Sequence[str] = ()  # of what came from another flow: ids of what it caused here
    hears: dict[str, float] = field(default_factory=dict)  # where events arrive that it heard, beside its delivery's
    y: float = 0.0
    even: bool = False  # its lane is shaded

    @property
    def room(self) -> int:
        """Characters of its label that are drawn."""
        return MAX_LABEL

    @property
    def middle(self) -> float:
        """Where a mark of 16 px stands in the middle of its last bar."""
        return self.bars[-1].x + self.bars[-1].width / 2 - MARK / 2 if self.bars else self.x

    @property
    def bar_end(self) -> float:
        """Where its last bar ends."""
        return max((each.x + each.width for each in self.bars), default=self.x)


class Lane(NamedTuple):
    """One service."""

    service: str
    owner: str
    y: float
    height: float
    even: bool


class Arrow(NamedTuple):
    """From an event to whoever heard it."""

    path: str
    title: str
    label: str = ""
    x: float = 0.0
    y: float = 0.0


class Arc(NamedTuple):
    """From an undo back to its step; open while it is not undone."""

    path: str
    closed: bool
    title: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything the template draws."""

    width: float
    height: float
    lanes: list[Lane]
    items: list[Item]
    arrows: list[Arrow]
    arcs: list[Arc]
    ticks: list[Tick]
    folds: list[Fold]
    now_x: float | None
    left: float = LEFT
    top: float = TOP
    left_out: int = 0

    @property
    def switched(self) -> bool:
        """Whether a breaker changed while something of it waited."""
        return any(sign.symbol.startswith("switch") for each in self.items for sign in each.signs)

    @property
    def fits(self) -> bool:
        """Whether it is no wider than a page, so that it may follow the page's width."""
        return self.width <= WIDTH

    def name_of(self, moment: datetime) -> str:
        """A moment's name on the axis: with milliseconds where two names would be the same."""
        seconds = [each.moment.replace(microsecond=0) for each in self.ticks]
        whole = moment.strftime("%H:%M:%S")
        return whole if len(set(seconds)) == len(seconds) else f"{whole}.{moment.microsecond // 1000:03d}"
