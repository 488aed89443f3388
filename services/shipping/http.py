"""Where the carrier tells that a parcel arrived.

| route | answer |
|---|---|
| `POST /deliveries` `{order_id}` | 202 `{"order_id", "parcel_id", "flow"}`, 404 no parcel, 409 called back |

Told again it gives the same answer and says nothing more. The delivery belongs to the flow of its order.
"""

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from services.shipping import storage
from services.shipping.events import ParcelDelivered
from services.shipping.service import shipping

shipping.says(ParcelDelivered)


class NewDelivery(BaseModel):
    """A delivery as the carrier tells it."""

    model_config = ConfigDict(frozen=True)

    order_id: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")


async def deliver(order_id: str) -> storage.Parcel | None:
    """Say once that the parcel of an order arrived, and return it as it stands now; None where there is none."""
    async with shipping.tx() as tx:
        parcel = await storage.find(await tx.read(), order_id)
    if parcel is None or parcel.delivered or parcel.recalled:
        return parcel
    async with shipping.tx(correlation_id=parcel.flow) as tx:
        if await storage.note_delivery(await tx.db(), order_id):
            tx.say(ParcelDelivered(order_id=order_id, parcel_id=parcel.parcel_id))
        return await storage.find(await tx.db(), order_id)


async def post_delivery(request: web.Request) -> web.Response:
    """`POST /deliveries`."""
    new = NewDelivery.model_validate_json(await request.read())
    parcel = await deliver(new.order_id)
    if parcel is None:
        return web.json_response({"error": f"no parcel was shipped for order {new.order_id}"}, status=404)
    if not parcel.delivered:
        return web.json_response({"error": f"parcel {parcel.parcel_id} was called back"}, status=409)
    answer = {"order_id": parcel.order_id, "parcel_id": parcel.parcel_id, "flow": parcel.flow}
    return web.json_response(answer, status=202)


@shipping.http
def mount(app: web.Application) -> None:
    """Put the route on the service's port."""
    app.router.add_post("/deliveries", post_delivery)
