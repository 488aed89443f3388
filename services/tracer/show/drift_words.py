"""What the page of drift says: what began when, how often it came, how far a baseline is. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hocket.clock import rfc3339
from hocket.console import counted, weekday_and_clock
from hocket.console.drift_facts import began
from services.tracer.ask.drift import Compared, Drift, DriftSeen, News

#: How long what is new stands in the first line of its page, and on the overview.
NEWS, OVERVIEW_NEWS = timedelta(days=7), timedelta(days=1)

#: Each kind, for people.
KINDS = {
    "unknown": "a field that is not read",
    "missing": "is missing",
    "null": "is null",
    "type": "another type",
    "value": "a value that is not declared",
}


def kind_of(each: DriftSeen) -> str:
    """The kind, for people."""
    return KINDS.get(each.kind, each.kind)


def sender(source: str) -> str:
    """Who sends: the source without its slash."""
    return source.strip("/") or source or "somebody"


def began_at(each: DriftSeen, now: datetime) -> str:
    """`shopify began to send `customer.tags` at Tue 14:05`."""
    return f"{began(each.source, each.path, each.kind)} at {weekday_and_clock(each.first.first, now)}"


def news(found: News | None, now: datetime) -> str:
    """The overview's line; "" where nothing is new."""
    if found is None:
        return ""
    more = f", and {counted(found.more, 'more change')}" if found.more else ""
    return f"{began(found.source, found.path, found.kind)} at {weekday_and_clock(found.began, now)}{more}"


def how_often(each: DriftSeen) -> str:
    """`340 of 2,000 events`; of what deep looks have counted `at least`."""
    most = each.most
    least = "at least " if most.sighted.deep else ""
    return f"{least}{most.sighted.many:,} of {counted(most.events, 'event')}"


def about_drift(drift: Drift, now: datetime) -> str:
    """The first line of the page."""
    news = [each for each in drift.paths if each.new and now - each.first.first < NEWS]
    if news:
        more = f", and {counted(len(news) - 1, 'more change')}" if len(news) > 1 else ""
        return began_at(news[0], now) + more
    if not drift.compared:
        return "No service has compared an event yet"
    learning = sum(each.end is None or each.end > now for each in drift.compared)
    if learning == len(drift.compared):
        return "Nothing is compared long enough to say what is new"
    older = sum(each.new for each in drift.paths)
    since = f"; {counted(older, 'older change')}" if older else ""
    return f"Nothing new in the last {NEWS.days} days{since}"


def drift_json(drift: Drift, now: datetime) -> dict[str, Any]:
    """The page, for programs."""
    return {
        "drift": [_path(each, now) for each in drift.paths],
        "compared": [_compared(each, now) for each in drift.compared],
    }


def _path(each: DriftSeen, now: datetime) -> dict[str, Any]:
    return {
        "source": each.source, "type": each.type, "version": each.version, "path": each.path, "kind": each.kind,
        "state": state_of(each), "sentence": began_at(each, now), "since": rfc3339(each.first.first),
        "last": rfc3339(each.last), "first_event": each.first.first_event, "flow": each.flow or None,
        "readers": [
            {
                "subscription": one.subscription, "owner": one.owner or None, "drift": one.mode,
                "many": one.sighted.many, "at_least": one.sighted.deep, "of": one.events,
                "since": rfc3339(one.sighted.first),
            }
            for one in each.readers
        ],
    }  # fmt: skip


def state_of(each: DriftSeen) -> str:
    """`new`, `accepted`, or `baseline`: seen from the start."""
    return "new" if each.new else ("accepted" if each.accepted else "baseline")


def _compared(each: Compared, now: datetime) -> dict[str, Any]:
    return {
        "source": each.source, "type": each.type, "version": each.version, "subscription": each.subscription,
        "owner": each.owner or None, "drift": each.mode, "events": each.events, "looked": each.looked,
        "left_out": each.more, "since": rfc3339(each.first), "baseline": each.baseline(now),
        "baseline_end": rfc3339(each.end) if each.end else None,
    }  # fmt: skip


def shown_of(drift: Drift, most: int) -> tuple[Sequence[DriftSeen], Sequence[DriftSeen]]:
    """What is new, and the rest, each at most so many."""
    return [each for each in drift.paths if each.new][:most], [each for each in drift.paths if not each.new][:most]
