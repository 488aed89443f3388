"""Orders over HTTP: place one, cancel one, read one, read them all by pages.

| route | answer |
|---|---|
| `POST /orders` | 202 `{"order_id", "flow", "state"}`, header `Hocket-Token` |
| `POST /orders/{order_id}/cancellations` `{"reason"}` (optional) | 202 `{"order_id", "flow", "state"}`, the same |
| `GET /orders?after=&limit=` | `{"orders": [...], "next": number or null}` in order of arrival |
| `GET /orders/{order_id}` | the order, or 404 |

Both take the header `Idempotency-Key` (optional): the same key again gives the same answer for 30 days, and does
nothing more; a key used for another request is 422 (docs/commands.md). Later, the same order under its key is the same
order, and another one is 409. A malformed order is 422 `{"error", "fields": [{"field", "cause"}]}`.

A customer may cancel at any time, also what was delivered. A cancellation is a flow of its own; posted again it gives
the same answer and says nothing more. 404 where there is no such order, 409 where the shop has cancelled it already.
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from hocket import Outside
from services.orders import storage
from services.orders.domain import Cancelling, NewCancellation, NewOrder, OrderState, order_id_of
from services.orders.events import OrderCancelled, OrderPlaced
from services.orders.service import orders

#: The header that names what a request said: whoever brings it back reads what he has caused (RULES 14.7).
SAID = "Hocket-Token"
#: Most orders on one page.
MAX_PAGE = 500

orders.says(OrderPlaced, OrderCancelled)


class PageQuery(BaseModel):
    """Which page of the orders."""

    model_config = ConfigDict(frozen=True)

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


async def place(tx: Outside, new: NewOrder) -> storage.Order | None:
    """Place an order, whose id is made from the key of `tx`, and return it; None where it is another one.

    An order outlives the answer that was stored: whoever repeats its key after that gets the same order.
    """
    db = await tx.db()
    order_id = order_id_of(tx.idempotency_key)
    known = await storage.find(db, order_id)
    if known is None:
        tx.say(OrderPlaced(order_id=order_id, **new.model_dump()))
        return await storage.add(db, order_id, new, flow=tx.correlation_id, placed_at=_rfc3339(tx.time))
    return known if known.fingerprint == new.fingerprint() else None


@orders.command(required=False)
async def post_order(request: web.Request, tx: Outside) -> web.Response:
    """`POST /orders`."""
    order = await place(tx, NewOrder.model_validate_json(await request.read()))
    if order is None:
        error = "this Idempotency-Key was used for another order: take a fresh key for a new order"
        return web.json_response({"error": error}, status=409)
    answer = {"order_id": order.order_id, "flow": order.flow, "state": OrderState.PLACED}
    return web.json_response(answer, status=202, headers={SAID: tx.token})


async def cancel(tx: Outside, order_id: str, reason: str) -> storage.Order | None:
    """Cancel an order for its customer, once, and return it as it stands now; None where there is none."""
    db = await tx.db()
    order = await storage.cancel(db, order_id, Cancelling.CUSTOMER, reason, flow=tx.correlation_id)
    if order is None:
        return await storage.find(db, order_id)
    tx.say(OrderCancelled(order_id=order_id, email=order.email, reason=reason, by="customer"))
    return order


@orders.command(required=False)
async def post_cancellation(request: web.Request, tx: Outside) -> web.Response:
    """`POST /orders/{order_id}/cancellations`."""
    order_id = request.match_info["order_id"]
    new = NewCancellation.model_validate_json(await request.read() or b"{}")
    order = await cancel(tx, order_id, new.reason)
    if order is None:
        return web.json_response({"error": f"there is no order {order_id}"}, status=404)
    if order.cancelled_by != Cancelling.CUSTOMER:
        return web.json_response({"error": f"order {order_id} is cancelled already: {order.reason}"}, status=409)
    answer = {"order_id": order_id, "flow": order.cancelled_in, "state": order.state}
    return web.json_response(answer, status=202, headers={SAID: tx.token})


async def get_orders(request: web.Request) -> web.Response:
    """`GET /orders`."""
    query = PageQuery.model_validate(dict(request.query))
    async with orders.tx() as tx:
        found = await storage.page(await tx.read(), query.after, query.limit)
    following = found[-1].number if len(found) == query.limit else None
    return web.json_response({"orders": [_shown(order) for order in found], "next": following})


async def get_order(request: web.Request) -> web.Response:
    """`GET /orders/{order_id}`."""
    order_id = request.match_info["order_id"]
    order = await _find(order_id)
    if order is None:
        return web.json_response({"error": f"there is no order {order_id}"}, status=404)
    return web.json_response(_shown(order))


@orders.http
def mount(app: web.Application) -> None:
    """Put the routes on the service's port."""
    app.router.add_post("/orders", post_order)
    app.router.add_post("/orders/{order_id}/cancellations", post_cancellation)
    app.router.add_get("/orders", get_orders)
    app.router.add_get("/orders/{order_id}", get_order)


async def _find(order_id: str) -> storage.Order | None:
    async with orders.tx() as tx:
        return await storage.find(await tx.read(), order_id)


def _shown(order: storage.Order) -> dict[str, object]:
    """What HTTP shows of an order: all but the customer's address, which is sensitive."""
    return {
        "order_id": order.order_id,
        "state": order.state,
        "reason": order.reason,
        "cancelled_by": order.cancelled_by,
        "cancelled_in": order.cancelled_in,
        "flow": order.flow,
        "placed_at": order.placed_at,
        "customer": order.customer,
        "sku": order.sku,
        "quantity": order.quantity,
        "total_cents": order.total_cents,
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
