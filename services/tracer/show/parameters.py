"""Reads the query of an address: a moment, a filter, a position in a list; every part has a bound."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite

from aiohttp import web

from hocket.console import with_query
from services.tracer.ask.flows import MAX_PAGE, ORDER, Filter, Found

#: Longest text of one part of an address.
MAX_TEXT = 300
#: Digits of a number in an address.
MAX_DIGITS = 9
#: Rows of a list where the address names no number.
PAGE_ROWS = 50


def moment_asked(query: Mapping[str, str]) -> datetime | None:
    """The moment of `?at=`, RFC 3339; 400 where it is invalid."""
    text = query.get("at", "").strip().replace(" ", "+")  # a plus sign in an address reads as a blank
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the zone may lead beyond the years that there are
        raise web.HTTPBadRequest(
            text=f"at={text[:MAX_TEXT]} is not a valid time: write it as 2026-01-31T14:05:00Z"
        ) from None


def filter_asked(query: Mapping[str, str]) -> Filter:
    """Which flows an address wants; 400 that names an invalid part."""
    limit = query.get("limit", str(PAGE_ROWS))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= MAX_DIGITS and 1 <= int(limit) <= MAX_PAGE):
        raise web.HTTPBadRequest(text=f"limit={limit[:MAX_TEXT]}: give a number from 1 to {MAX_PAGE}")
    state = query.get("state", "")
    if state not in {"", *ORDER}:
        raise web.HTTPBadRequest(text=f"state={state[:MAX_TEXT]}: give one of {', '.join(ORDER)}")
    before, _, id = query.get("after", "").partition("~")
    try:
        place = float(before) if before else None
        if place is not None and not isfinite(place):
            raise ValueError
    except ValueError:
        raise web.HTTPBadRequest(text="after= is not a valid position: take it from the previous page") from None
    return Filter(
        q=query.get("q", "").strip()[:MAX_TEXT],
        state=state,
        type=query.get("type", "")[:MAX_TEXT],
        service=query.get("service", "")[:MAX_TEXT],
        at=moment_asked(query),
        limit=int(limit),
        before=place,
        before_id=id[:MAX_TEXT],
    )


def name_asked(request: web.Request) -> str:
    """The subject or the flow that an address is about: the rest of its path, or `?name=`; 400 without one."""
    name: str = request.match_info.get("name") or request.query.get("name", "")
    if not name:
        raise web.HTTPBadRequest(text="name= is missing: say which one, for example ?name=order/4711")
    return name


def next_page(path: str, query: Mapping[str, str], found: Found) -> str | None:
    """The address of the next page; None where this is the last."""
    if found.after is None:
        return None
    began, id = found.after
    return with_query(path, query, after=f"{began!r}~{id}")
