"""The view over HTTP.

| route | answer |
|---|---|
| `GET /orders?state=&customer=&from=&to=&cursor=&limit=` | `{"orders": [...], "next": cursor or null}`, newest first |
| `GET /orders/{order_id}` | `{"order": {...}}`, or 404 |
| `GET /customers/{customer_id}/history?cursor=&limit=` | `{"history": [...], "next": cursor or null}`, or 404 |
| `GET /history?type=&cursor=&limit=` | the same of all customers, or of one type of event |

Each answer has `version` (of the view) and `lag_seconds` (how far behind it is), as the headers `View-Version` and
`View-Lag` too. It is behind by nature: who has just placed an order sends the token of that answer (its header
`Hocket-Token`) as `after=` or in the header `Hocket-Token`, and sees what the token stands for, or 503 with
`Retry-After` where that takes too long. `from` is a moment and counts, `to` is one and does not. Following `next`
visits every row once, whatever changes meanwhile. Something malformed is 422
`{"error", "fields": [{"field", "cause"}]}`.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from hocket import View
from services.order_view import storage
from services.order_view.domain import State, rfc3339
from services.order_view.handlers import shop_history
from services.order_view.service import order_view
from services.order_view.storage import Filter, Place

#: Most rows on one page, and longest id, type and cursor that are asked for.
MAX_PAGE, MAX_TEXT = 500, 1000
#: The header in which `POST /orders` answers what to wait for, and in which it comes back here.
SEEN_HEADER = "Hocket-Token"


def _place(cursor: object) -> Place | None:
    """The place that a cursor stands for. `ValueError` for one that was made by nobody."""
    if not cursor:
        return None
    try:
        at, _, key = base64.b64decode(str(cursor), altchars=b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        at, key = "", ""
    if not (at and key and at.isprintable() and key.isprintable()):
        raise ValueError("is no cursor: take `next` of the page before")
    return at, key


def _cursor(at: str, key: str) -> str:
    return base64.urlsafe_b64encode(f"{at} {key}".encode()).decode()


Text = Annotated[str, Field(max_length=MAX_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _rfc3339(value: datetime) -> str:
    try:
        return rfc3339(value)
    except OverflowError as failed:
        raise ValueError("is a moment outside the years 1 to 9999") from failed


#: A moment as the tables have it.
Moment = Annotated[AwareDatetime, AfterValidator(_rfc3339)]


class PageQuery(BaseModel):
    """Which page."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    cursor: Annotated[Place | None, BeforeValidator(_place)] = None
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


class OrdersQuery(PageQuery):
    """Which orders."""

    state: State | None = None
    customer: Text = ""
    since: Moment | None = Field(default=None, alias="from")
    before: Moment | None = Field(default=None, alias="to")

    def filter(self) -> Filter:
        """As the storage knows it."""
        since, before = str(self.since or ""), str(self.before or "")
        return Filter(state=self.state or "", customer_id=self.customer, since=since, before=before)


class LinesQuery(PageQuery):
    """Which lines of all customers."""

    type: Text = ""


async def get_orders(request: web.Request) -> web.Response:
    """`GET /orders`."""
    query = OrdersQuery.model_validate(dict(request.query))
    async with _reading(request) as view:
        orders = view.table(storage.order_table)
        found = await storage.page(view.db, orders, query.filter(), query.cursor, query.limit)
    last = _cursor(found[-1].placed_at, found[-1].order_id) if len(found) == query.limit else None
    return _answer(view, {"orders": [asdict(each) for each in found], "next": last})


async def get_order(request: web.Request) -> web.Response:
    """`GET /orders/{order_id}`."""
    order_id = _id(request, "order_id")
    async with _reading(request) as view:
        found = await storage.order(view.db, view.table(storage.order_table), order_id)
    if found is None:
        return _answer(view, {"error": f"nothing was heard of an order {order_id}"}, status=404)
    return _answer(view, {"order": asdict(found)})


async def get_history(request: web.Request) -> web.Response:
    """`GET /customers/{customer_id}/history`."""
    query, customer_id = PageQuery.model_validate(dict(request.query)), _id(request, "customer_id")
    async with _reading(request) as view:
        orders, lines = view.table(storage.order_table), view.table(storage.line_table)
        found = await storage.history(view.db, orders, lines, customer_id, query.cursor, query.limit)
    if not found and query.cursor is None:
        return _answer(view, {"error": f"nothing was heard of a customer {customer_id}"}, status=404)
    return _lines(view, found, query.limit)


async def get_every_line(request: web.Request) -> web.Response:
    """`GET /history`."""
    query = LinesQuery.model_validate(dict(request.query))
    async with _reading(request) as view:
        lines = view.table(storage.line_table)
        found = await storage.every_line(view.db, lines, query.type, query.cursor, query.limit)
    return _lines(view, found, query.limit)


@order_view.http
def mount(app: web.Application) -> None:
    """Put the routes on the service's port."""
    app.router.add_get("/orders", get_orders)
    app.router.add_get("/orders/{order_id}", get_order)
    app.router.add_get("/customers/{customer_id}/history", get_history)
    app.router.add_get("/history", get_every_line)


def _id(request: web.Request, name: str) -> str:
    """The id in the path; "", which nobody has, where it is no text that an id can be."""
    found = request.match_info[name]
    return found if found.isprintable() and len(found) <= MAX_TEXT else ""


@asynccontextmanager
async def _reading(request: web.Request) -> AsyncIterator[View]:
    token = request.query.get("after") or request.headers.get(SEEN_HEADER) or None
    async with order_view.reading(shop_history, after=token) as view:
        yield view


def _lines(view: View, found: Any, limit: int) -> web.Response:
    last = _cursor(found[-1].at, found[-1].key) if len(found) == limit else None
    return _answer(view, {"history": [asdict(each) for each in found], "next": last})


def _answer(view: View, body: Mapping[str, object], status: int = 200) -> web.Response:
    lag = round(view.lag.total_seconds(), 3)
    headers = {"View-Version": str(view.version), "View-Lag": f"{lag:.3f}"}
    return web.json_response({**body, "version": view.version, "lag_seconds": lag}, status=status, headers=headers)
