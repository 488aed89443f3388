"""The lanes of one flow, laid out on the server (docs/console.md §10); the template only draws. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hocket.console import duration
from hocket.console.facts import Receipt
from services.tracer.fold.deliveries import Delivery, Stand
from services.tracer.fold.flow import Flow
from services.tracer.read.facts import Said
from services.tracer.show.timescale import Fold, Scale, Tick, scale_of

#: Sizes in px. The lane's name stands left of the time.
WIDTH, LEFT, RIGHT, TOP, ROW, LANE_PADDING, BAR = 1232.0, 152.0, 150.0, 36.0, 44.0, 6.0, 12.0
#: Room of one character of a label, and of the state's mark.
CHARACTER, MARK = 7.2, 16.0
#: Deliveries and events that are drawn; the table has all of them.
MAX_DRAWN = 300
#: Characters of one label that are drawn; the whole stands in its name.
MAX_LABEL = 40
#: More hearers of one event than this are one bracket.
MAX_HEARERS = 8


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
    def fits(self) -> bool:
        """Whether it is no wider than a page, so that it may follow the page's width."""
        return self.width <= WIDTH

    def name_of(self, moment: datetime) -> str:
        """A moment's name on the axis: with milliseconds where two names would be the same."""
        seconds = [each.moment.replace(microsecond=0) for each in self.ticks]
        whole = moment.strftime("%H:%M:%S")
        return whole if len(set(seconds)) == len(seconds) else f"{whole}.{moment.microsecond // 1000:03d}"


def draw(flow: Flow, now: datetime, owner: Callable[[str], str]) -> Drawing:
    """Lay out `flow` as it stands at `now`; `owner` names the owner of a service."""
    deliveries = flow.deliveries[:MAX_DRAWN]
    events = flow.events[:MAX_DRAWN]
    is_open = bool(flow.waiting)
    scale = _scale(events, deliveries, now if is_open else None)
    items = _items(flow, events, deliveries, scale, now)
    lanes = _place(items, owner)
    drawn = {each.delivery.event_id + each.delivery.subscription: each for each in items if each.delivery}
    points = [point for each in items for point in each.points]
    height = lanes[-1].y + lanes[-1].height if lanes else TOP
    return Drawing(
        width=max(WIDTH, max((each.end for each in items), default=0.0) + 16),
        height=height,
        lanes=lanes,
        items=items,
        arrows=[arrow for point in points for arrow in _arrows(point, items)],
        arcs=list(_arcs(deliveries, drawn)),
        ticks=[Tick(LEFT + 16 + x, moment) for x, moment in scale.ticks()],
        folds=[Fold(LEFT + 16 + x, seconds) for x, seconds in scale.folds()],
        now_x=LEFT + 16 + scale.x(now) if is_open else None,
        left_out=len(flow.events) + len(flow.deliveries) - len(events) - len(deliveries),
    )


def _scale(events: Iterable[Said], deliveries: Iterable[Delivery], now: datetime | None) -> Scale:
    moments = [each.time for each in events]
    begins: set[datetime] = set()
    for delivery in deliveries:
        moments.append(delivery.since)
        for receipt in delivery.receipts:
            begins.add(receipt.begun)
            moments += [receipt.begun, receipt.over]
    if now is not None:
        moments.append(now)
    return scale_of(moments, begins, WIDTH - LEFT - RIGHT - 32)


def _items(
    flow: Flow, events: Sequence[Said], deliveries: Sequence[Delivery], scale: Scale, now: datetime
) -> list[Item]:
    """Runs with what they said at their end, then events said outside any run; in order of time."""
    left: dict[str, Said] = {each.id: each for each in events}
    zombies = {(each.name, each.subject) for each in flow.zombies}
    items: list[Item] = []
    for delivery in deliveries:
        item = _run(delivery, scale, now)
        item.zombie = (delivery.subscription, delivery.subject) in zombies and not delivery.undo_of
        said = [left.pop(id) for receipt in delivery.receipts for id in receipt.said if id in left]
        for at, event in enumerate(said):
            place = item if at == 0 else Item(item.lane, 0.0, 0.0, event.id)
            _point(place, event, scale, flow)
            if place is not item:
                place.x = place.points[0].x - 6
                items.append(place)
        items.append(item)
    for event in left.values():
        item = Item(event.service, 0.0, 0.0, event.id)
        _point(item, event, scale, flow)
        item.x = item.points[0].x - 6
        items.append(item)
    return sorted(items, key=lambda each: (each.x, each.lane, each.key))


def _point(item: Item, event: Said, scale: Scale, flow: Flow) -> None:
    x = LEFT + 16 + scale.x(event.time)
    item.points.append(Point(event.id, x, 0.0, event.type, event.id in flow.unheard, event))
    item.end = max(item.end, x + 10 + min(len(event.type), MAX_LABEL) * CHARACTER)


def _run(delivery: Delivery, scale: Scale, now: datetime) -> Item:
    def x(moment: datetime) -> float:
        return LEFT + 16 + scale.x(moment)

    bars: list[Bar] = []
    told = delivery.runs
    start = told[0].begun if told else delivery.since
    deaths: list[float] = []
    for at, receipt in enumerate(told):
        left = x(receipt.begun)
        if receipt.redelivered:
            earlier = x(told[at - 1].over if at else min(delivery.since, receipt.begun))
            bars.append(Bar(earlier, max(left - earlier, 3.0), "lost", LOST))
        bars.append(Bar(left, max(x(receipt.over) - left, 4.0), _tone(receipt, delivery), _title(receipt)))
        if receipt.outcome == "dead":
            deaths.append(bars[-1].x + bars[-1].width + 4)
        later = told[at + 1].begun if at + 1 < len(told) else now if delivery.open else None
        if later is not None and later > receipt.over:
            waited = duration((later - receipt.over).total_seconds())
            bars.append(Bar(x(receipt.over), max(x(later) - x(receipt.over), 2.0), "waiting", f"waited {waited}"))
    if not told:
        waited = duration((now - delivery.since).total_seconds())
        bars.append(Bar(x(start), max(x(now) - x(start), 12.0), "waiting", f"waits since {waited}"))
    handler = delivery.subscription.partition(".")[2] or delivery.subscription
    item = Item(
        delivery.service, min(each.x for each in bars), 0.0, f"{delivery.subscription}~{delivery.event_id}",
        label=handler, aside=_aside(delivery, told), bars=bars, delivery=delivery,
    )  # fmt: skip
    item.name = f"{delivery.subscription} on {delivery.event_type}, {item.aside or 'no attempt yet'}, {delivery.stand}"
    item.deaths = deaths
    if delivery.stand is Stand.DEAD:
        item.dead = deaths[-1] if deaths else item.bar_end + 4
    words = (min(len(item.label), MAX_LABEL) + len(item.aside) + 2) * CHARACTER
    item.end = max(item.bar_end + (MARK + 48 if item.dead else 4), item.x + words)
    return item


def _tone(receipt: Receipt, delivery: Delivery) -> str:
    match receipt.outcome:
        case "retry" | "dead":
            return "failed"
        case "deferred":
            return "deferred"
        case "handled":
            return "undo" if delivery.undo_of else "handled"
        case _:
            return "settled"


def _title(receipt: Receipt) -> str:
    took = duration((receipt.over - receipt.begun).total_seconds())
    error = f": {receipt.error or receipt.cause}" if receipt.error or receipt.cause else ""
    return f"attempt {receipt.attempt}, {receipt.outcome}, {took}{error}"


def _aside(delivery: Delivery, told: Sequence[Receipt]) -> str:
    parts: list[str] = []
    if delivery.undo_of:
        parts.append(f"undoes {delivery.undo_of.partition('.')[2] or delivery.undo_of}")
    if not told:
        return ", ".join([*parts, "waiting"])
    if any(each.step == delivery.subscription for each in told):
        parts.append("step")
    elif told[-1].step and not delivery.undo_of:
        parts.append("begins the undo" if told[-1].said else "nothing to undo yet")
    if delivery.attempts > 1:
        parts.append(f"{delivery.attempts} attempts")
    if delivery.stand is Stand.DISCARDED:
        parts.append(f"discarded by {delivery.receipts[-1].by[:MAX_LABEL] or 'somebody'}")
    if told[-1].outcome in {"refused", "obsolete", "duplicate"}:
        parts.append(told[-1].outcome)
    parts.append(duration(delivery.took))
    return ", ".join(parts)


def _place(items: list[Item], owner: Callable[[str], str]) -> list[Lane]:
    """Give each item the first free row of its lane, each lane its height; lanes stand in order of their first fact."""
    lanes: list[Lane] = []
    y = TOP
    for at, service in enumerate(dict.fromkeys(each.lane for each in items)):
        ends: list[float] = []
        for item in (each for each in items if each.lane == service):
            row = next((one for one, end in enumerate(ends) if end + 10 <= item.x), len(ends))
            ends[row : row + 1] = [item.end]
            item.y, item.even = y + LANE_PADDING + row * ROW, bool(at % 2)
            item.points = [each._replace(y=item.y + 28) for each in item.points]
        height = len(ends) * ROW + 2 * LANE_PADDING
        lanes.append(Lane(service, owner(service), y, height, bool(at % 2)))
        y += height
    return lanes


def _arrows(point: Point, items: Sequence[Item]) -> Iterable[Arrow]:
    hearers = [
        each for each in items
        if each.delivery and each.delivery.event_id == point.id and each.delivery.event_type == point.said.type
    ]  # fmt: skip
    title = f"{point.said.type}, said by {point.said.service}"
    if len(hearers) > MAX_HEARERS:
        low, high = min(each.y for each in hearers) + 28, max(each.y for each in hearers) + 28
        path = f"M{point.x} {point.y}V{low}V{high}h6"
        yield Arrow(path, title, f"{len(hearers)} heard it", point.x + 10, (low + high) / 2)
        return
    for hearer in hearers:
        y = hearer.y + 28
        receipt = hearer.delivery.receipts[0] if hearer.delivery and hearer.delivery.receipts else None
        early = (point.said.time - receipt.begun).total_seconds() if receipt else 0.0
        if early > 0:
            label = f"clocks differ by {duration(early)}"
            yield Arrow(f"M{point.x} {point.y}L{hearer.x} {y}", title, label, hearer.x + 4, y + 18)
        elif hearer.x - point.x < 8:
            yield Arrow(f"M{point.x} {point.y}V{y}", title)
        else:
            yield Arrow(f"M{point.x} {point.y}V{y}H{hearer.x - 1}", title)


def _arcs(deliveries: Iterable[Delivery], drawn: dict[str, Item]) -> Iterable[Arc]:
    """From each undo back to the step it undoes."""
    for undo in deliveries:
        item = drawn.get(undo.event_id + undo.subscription)
        if not undo.undo_of or item is None:
            continue
        step = next(
            (each for each in drawn.values() if each.delivery and each.delivery.subscription == undo.undo_of), None
        )  # fmt: skip
        if step is None:
            continue
        end, low = step.bar_end - 4, step.y + 34
        x, y = item.x + 6, item.y + 34
        deep = max(low, y) + 22
        path = f"M{x} {y}C{x} {deep} {end} {deep} {end} {low + 3}"
        closed = undo.stand is Stand.UNDONE
        word = "undid" if closed else "is to undo"
        yield Arc(path, closed, f"{undo.subscription} {word} {undo.undo_of}")
