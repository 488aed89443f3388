"""The lanes of one flow, laid out on the server (docs/console.md §10); the template only draws. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from hocket.console import duration
from hocket.console.facts import BreakerChange
from services.tracer.fold.deliveries import Delivery, Stand
from services.tracer.fold.flow import Flow
from services.tracer.read.facts import Said
from services.tracer.show.drawing import (
    LANE_PADDING,
    LEFT,
    MAX_DRAWN,
    MAX_HEARERS,
    RIGHT,
    ROW,
    START,
    TOP,
    WIDTH,
    Arc,
    Arrow,
    Drawing,
    Item,
    Lane,
    Point,
)
from services.tracer.show.runs import items_of
from services.tracer.show.timescale import Fold, Scale, Tick, scale_of


def draw(
    flow: Flow, now: datetime, owner: Callable[[str], str],
    changes: Mapping[str, Sequence[BreakerChange]] | None = None,
) -> Drawing:  # fmt: skip
    """Lay out `flow` as it stands at `now`; `owner` names the owner of a service.

    `changes` are those of the breakers, by the subscription that they guard.
    """
    deliveries = flow.deliveries[:MAX_DRAWN]
    events = flow.events[:MAX_DRAWN]
    is_open = flow.going
    scale = _scale(flow, events, deliveries, now if is_open else None)
    items = items_of(flow, events, deliveries, scale, now, changes or {})
    lanes = _place(items, owner)
    drawn = {each.delivery.event_id + each.delivery.subscription: each for each in items if each.delivery}
    points = [point for each in items for point in each.points]
    height = lanes[-1].y + lanes[-1].height if lanes else TOP
    return Drawing(
        width=max(WIDTH, max((each.end for each in items), default=0.0) + 16),
        height=height,
        lanes=lanes,
        items=items,
        arrows=[*(arrow for point in points for arrow in _arrows(point, items)), *_reaching(items)],
        arcs=list(_arcs(deliveries, drawn)),
        ticks=[Tick(START + x, moment) for x, moment in scale.ticks()],
        folds=[Fold(START + x, seconds) for x, seconds in scale.folds()],
        now_x=START + scale.x(now) if is_open else None,
        left_out=len(flow.events) + len(flow.deliveries) - len(events) - len(deliveries),
    )


def _scale(flow: Flow, events: Iterable[Said], deliveries: Iterable[Delivery], now: datetime | None) -> Scale:
    moments = [each.time for each in events]
    begins: set[datetime] = set()
    for delivery in deliveries:
        moments.append(delivery.since)
        for receipt in delivery.receipts:
            begins.add(receipt.begun)
            moments += [receipt.begun, receipt.over]
    for timeout in flow.timeouts:
        for period in timeout.periods:
            begins.add(period.since)
            moments += [period.since, *([period.end] if period.end else [])]
        moments += [each.at for each in timeout.answers]
    moments += [each.over for each in flow.reached_by]
    if now is not None:
        moments.append(now)
    return scale_of(moments, begins, WIDTH - LEFT - RIGHT - 32)


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
    hearers = [(each, x) for each in items if (x := _heard_at(each, point)) is not None]
    title = f"{point.said.type}, said by {point.said.service}"
    if len(hearers) > MAX_HEARERS:
        low, high = min(each.y for each, _ in hearers) + 28, max(each.y for each, _ in hearers) + 28
        path = f"M{point.x} {point.y}V{low}V{high}h6"
        yield Arrow(path, title, f"{len(hearers)} heard it", point.x + 10, (low + high) / 2)
        return
    for hearer, x in hearers:
        y = hearer.y + 28
        receipt = (
            hearer.delivery.receipts[0] if not hearer.timeout and hearer.delivery and hearer.delivery.receipts else None
        )
        early = (point.said.time - receipt.begun).total_seconds() if receipt else 0.0
        if early > 0:
            label = f"clocks differ by {duration(early)}"
            yield Arrow(f"M{point.x} {point.y}L{x} {y}", title, label, x + 4, y + 18)
        elif x - point.x < 8:
            yield Arrow(f"M{point.x} {point.y}V{y}", title)
        else:
            yield Arrow(f"M{point.x} {point.y}V{y}H{x - 1}", title)


def _heard_at(item: Item, point: Point) -> float | None:
    """Where an event arrives at an item that heard it; None: it did not."""
    if item.timeout is not None:
        return item.hears.get(point.id)
    delivery = item.delivery
    heard = delivery is not None and delivery.event_id == point.id and delivery.event_type == point.said.type
    return item.x if heard else None


def _reaching(items: Sequence[Item]) -> Iterable[Arrow]:
    """From what came from another flow to the undo that it caused here."""
    for item in items:
        for caused in (each for each in items if each.delivery and each.delivery.event_id in item.said_here):
            x, y = item.signs[0].x, item.y + 28
            yield Arrow(f"M{x} {y + 8}V{caused.y + 28}H{max(caused.x - 1, x)}", item.signs[0].title)


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
