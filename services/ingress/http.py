"""Leads over HTTP.

| route | answer |
|---|---|
| `POST /leads` `{email, campaign, updated_at}`, header `X-Delivery-Id` (required) | 202 `{"flow"}` |

The same delivery id again gives the same answer and no second event. It answers after the commit, so what was
answered is not lost. Without the header 400, a malformed lead 422 `{"error", "fields": [{"field", "cause"}]}`. Without
`updated_at` the moment of the post stands for it.
"""

from aiohttp import web

from services.ingress.domain import NewLead
from services.ingress.events import LeadCaptured
from services.ingress.service import ingress

#: Longest delivery id, in characters.
MAX_DELIVERY_ID_LENGTH = 255
#: What a lead of the plain form has as its source.
SOURCE = "form"

ingress.says(LeadCaptured)


async def capture(lead: NewLead, delivery_id: str) -> str:
    """Say a lead once for each delivery id and return its flow, the same each time."""
    async with ingress.tx(key=delivery_id) as tx:
        if not tx.seen:
            tx.say(
                LeadCaptured(
                    email=lead.email,
                    campaign=lead.campaign,
                    source=SOURCE,
                    delivery=delivery_id,
                    updated_at=lead.updated_at or tx.time,
                    orders_count=0,
                    spent_cents=0,
                )
            )
    return tx.correlation_id


async def post_lead(request: web.Request) -> web.Response:
    """`POST /leads`."""
    delivery_id = request.headers.get("X-Delivery-Id", "")
    if not 0 < len(delivery_id) <= MAX_DELIVERY_ID_LENGTH:
        error = f"header X-Delivery-Id must name this delivery in 1 to {MAX_DELIVERY_ID_LENGTH} characters"
        return web.json_response({"error": error}, status=400)
    lead = NewLead.model_validate_json(await request.read())
    return web.json_response({"flow": await capture(lead, delivery_id)}, status=202)


@ingress.http
def mount(app: web.Application) -> None:
    """Put the routes on the service's port."""
    app.router.add_post("/leads", post_lead)
