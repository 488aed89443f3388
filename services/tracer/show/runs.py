"""The items of the lanes: runs with what they said, time-outs, events said outside any run. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from hocket.console import MARKS, day_and_clock, duration, short_id
from hocket.console.facts import BreakerChange, Receipt
from services.tracer.fold.deliveries import Delivery, Stand
from services.tracer.fold.flow import Flow
from services.tracer.fold.timeouts import TimeOut
from services.tracer.read.facts import Said
from services.tracer.show.crossings import Crossing, crossings_of
from services.tracer.show.drawing import (
    CHARACTER,
    LOST,
    MARK,
    MAX_LABEL,
    MAX_LINKS,
    START,
    Bar,
    FlowLink,
    Item,
    Point,
    Sign,
)
from services.tracer.show.sentences import first_of, plain
from services.tracer.show.timeout_words import stands
from services.tracer.show.timescale import Scale

#: Breakers' changes, and answers, that one item marks; two marks stand at least so many px apart.
MAX_SIGNS, SIGN_ROOM = 12, 12.0
#: Time-outs that are drawn; the page lists all of them.
MAX_TIMEOUTS = 50
#: How a change of a breaker is drawn: symbol and tone, by its state.
_SWITCHES = {each: (mark.symbol, mark.tone) for (kind, each), mark in MARKS.items() if kind == "breaker"}


def items_of(
    flow: Flow, events: Sequence[Said], deliveries: Sequence[Delivery], scale: Scale, now: datetime,
    changes: Mapping[str, Sequence[BreakerChange]],
) -> list[Item]:  # fmt: skip
    """Runs with what they said at their end, time-outs, then events said outside any run; in order of time."""
    left: dict[str, Said] = {each.id: each for each in events}
    zombies = {(each.name, each.subject) for each in flow.zombies}
    timeouts = [each for each in flow.timeouts if each.periods][:MAX_TIMEOUTS]
    drawn_with = _drawn_with(timeouts)
    links = _links(flow)
    items: list[Item] = []
    for delivery in deliveries:
        if (delivery.subscription, delivery.event_id) in drawn_with and delivery.stand is Stand.HANDLED:
            continue
        item = _run(delivery, scale, now)
        item.zombie = (delivery.subscription, delivery.subject) in zombies and not delivery.undo_of
        said = [left.pop(id) for receipt in delivery.receipts for id in receipt.said if id in left]
        for at, event in enumerate(said):
            place = item if at == 0 else Item(item.lane, 0.0, 0.0, event.id)
            _point(place, event, scale, flow)
            if place is not item:
                place.x = place.points[0].x - 6
                items.append(place)
        _switch(item, delivery, changes.get(delivery.subscription, ()), scale, now)
        _link(item, links.get(item.key, ()))
        items.append(item)
    armed = {(each.subscription, each.event_id): each for each in deliveries}
    for timeout in timeouts:
        item = _timeout(timeout, armed, scale, now)
        keys = [f"{name}~{event}" for (name, event), mine in drawn_with.items() if mine is timeout]
        _link(item, [link for key in keys for link in links.get(key, ())])
        items.append(item)
    items += _came_in(flow, scale)
    for event in left.values():
        item = Item(event.service, 0.0, 0.0, event.id)
        _point(item, event, scale, flow)
        item.x = item.points[0].x - 6
        items.append(item)
    return sorted(items, key=lambda each: (each.x, each.lane, each.key))


def _drawn_with(timeouts: Sequence[TimeOut]) -> dict[tuple[str, str], TimeOut]:
    """What armed or answered a time-out is drawn with it, by subscription and event."""
    found: dict[tuple[str, str], TimeOut] = {}
    for timeout in timeouts:
        armed, answered = (each.event_id for each in timeout.periods), (each.event_id for each in timeout.answers)
        for id in (*armed, *answered, *timeout.own):
            found[timeout.subscription, id] = timeout
    return found


def _timeout(timeout: TimeOut, deliveries: Mapping[tuple[str, str], Delivery], scale: Scale, now: datetime) -> Item:
    """A time-out from its arming to its end, with its answers."""
    first, last = timeout.periods[0], timeout.periods[-1]
    name = timeout.subscription.partition(".")[2] or timeout.subscription
    start = _x(scale, first.since)
    item = Item(
        timeout.service, start, 0.0, f"{timeout.subscription}~{last.event_id}", label=name,
        aside=f"time-out, {stands(timeout, now, short=True)}", timeout=timeout,
        delivery=deliveries.get((timeout.subscription, last.event_id)),
    )  # fmt: skip
    item.name = f"time-out {timeout.subscription}, {stands(timeout, now)}"
    for each in timeout.periods:
        left, right = _x(scale, each.since), _x(scale, each.end or now)
        title = f"armed by {each.type}, due at {day_and_clock(each.due, now)}"
        item.bars.append(Bar(left, max(right - left, 4.0), "armed", title))
        item.hears.setdefault(each.event_id, left)
    end = last.end
    for answer in timeout.answers[:MAX_SIGNS]:
        x = _x(scale, answer.at)
        if not answer.flow:
            item.hears.setdefault(answer.event_id, x - MARK / 2)
        if answer.late is not None:
            item.signs.append(Sign(x, "clock", "stuck", f"{answer.type} came {duration(answer.late)} late"))
        elif answer.at == end:
            item.signs.append(Sign(x, "disc-tick", "done", f"met by {answer.type}"))
    if timeout.fired is not None:
        item.signs.append(Sign(_x(scale, timeout.fired), "bell", "stuck", "fired"))
    reach = max([item.bar_end, *(each.x + MARK for each in item.signs)])
    item.end = max(reach + 4, item.x + (min(len(name), MAX_LABEL) + len(item.aside) + 2) * CHARACTER)
    return item


def _switch(item: Item, delivery: Delivery, changes: Sequence[BreakerChange], scale: Scale, now: datetime) -> None:
    """Mark how its breaker changed while this delivery was under way."""
    end = now if delivery.open else delivery.last.over if delivery.last else now
    reach = float("-inf")
    for each in changes:
        x = _x(scale, each.time)
        if not delivery.since <= each.time <= end or x - reach < SIGN_ROOM or len(item.signs) >= MAX_SIGNS:
            continue
        reach = x
        symbol, tone = _SWITCHES.get(each.state, ("ring", "quiet"))
        why = f": {each.reason}" if each.reason else ""
        item.signs.append(
            Sign(x, symbol, tone, f"breaker {each.name} {each.state} at {day_and_clock(each.time, now)}{why}")
        )


def _links(flow: Flow) -> Mapping[str, Sequence[Crossing]]:
    """Where each run leads to another flow, or finds none, by the key of its item."""
    found: dict[str, list[Crossing]] = {}
    for each in crossings_of(flow):
        found.setdefault(each.delivery, []).append(each)
    return found


def _link(item: Item, crossings: Iterable[Crossing]) -> None:
    for at, each in enumerate(crossings):
        if at == MAX_LINKS:
            break
        label = f"→ flow {short_id(each.flow)}" if each.flow else "reached: none"
        x = max(item.end if item.points or item.links or item.timeout else item.bar_end + 8, item.bar_end + 8)
        item.links.append(FlowLink(x, label, each.flow, plain(each.sentence)))
        item.end = max(item.end, x + len(label) * CHARACTER)


def _came_in(flow: Flow, scale: Scale) -> Iterable[Item]:
    """Failures of other flows that reached a step of this one, each in the lane of its undo."""
    for each in flow.reached_by[:MAX_SIGNS]:
        x = _x(scale, each.over)
        item = Item(each.service, x - 6, 0.0, f"from {each.correlationid}~{each.event.id}")
        label = f"{each.event.type}, of flow {short_id(each.correlationid)}"
        item.links.append(FlowLink(x + 12, label, each.correlationid, f"{each.event.type} reached {each.step}"))
        item.signs.append(Sign(x, "arrow-back", "comp", f"{each.event.type} of another flow reached {each.step}"))
        item.said_here = each.said
        item.end = x + 12 + len(label) * CHARACTER
        yield item


def _x(scale: Scale, moment: datetime) -> float:
    return START + scale.x(moment)


def _point(item: Item, event: Said, scale: Scale, flow: Flow) -> None:
    x = _x(scale, event.time)
    item.points.append(Point(event.id, x, 0.0, event.type, event.id in flow.unheard, event))
    item.end = max(item.end, x + 10 + min(len(event.type), MAX_LABEL) * CHARACTER)


def _run(delivery: Delivery, scale: Scale, now: datetime) -> Item:
    x = partial(_x, scale)
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


#: What a failure that ordered no undo found of the step, by the ledger.
_FOUND = {
    "begun": "undone once the step ends", "undoing": "its undo is under way", "undone": "undone before",
    "void": "nothing to undo", "refused": "nothing to undo",
}  # fmt: skip


def _aside(delivery: Delivery, told: Sequence[Receipt]) -> str:
    parts: list[str] = []
    if delivery.overdue:
        parts.append("time-out fired" if delivery.stand is not Stand.OBSOLETE else "void alarm")
    elif told and told[-1].timer is not None:
        parts.append("arms a time-out" if told[-1].timer.state == "armed" else "answers a time-out")
    if delivery.undo_of:
        parts.append(f"undoes {delivery.undo_of.partition('.')[2] or delivery.undo_of}")
    if not told:
        return ", ".join([*parts, "waiting"])
    if any(each.step == delivery.subscription for each in told):
        parts.append("step")
    elif told[-1].step and not delivery.undo_of:
        parts.append("begins the undo" if told[-1].said else _FOUND.get(told[-1].ledger, "nothing to undo yet"))
    if delivery.attempts > 1:
        parts.append(f"{delivery.attempts} attempts")
    if delivery.stand is Stand.DISCARDED:
        parts.append(f"discarded by {delivery.receipts[-1].by[:MAX_LABEL] or 'somebody'}")
    if told[-1].outcome in {"refused", "obsolete", "stale", "duplicate"}:
        parts.append(told[-1].outcome)
    if told[-1].outcome == "deferred" and told[-1].cause == "after":
        parts.append(f"waits for {first_of(told[-1])[:MAX_LABEL]}")
    parts.append(duration(delivery.took))
    return ", ".join(parts)
