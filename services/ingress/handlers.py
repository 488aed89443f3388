"""Webhooks: what two senders push becomes the same event as a lead of the plain form.

Each is said as it came, also what is older than what came before: who wants only the newest hears it with `latest_by`.
"""

from hocket.webhooks import Push, Shopify, StandardWebhooks
from services.ingress.domain import CONTACT_TYPES, CUSTOMER_TOPICS, ContactMessage, ShopCustomer
from services.ingress.events import LeadCaptured
from services.ingress.service import ingress


@ingress.webhook(StandardWebhooks(secrets="form_secrets"))
def form(body: ContactMessage, push: Push) -> LeadCaptured | None:
    """A contact of the CRM's form, created or updated."""
    if body.type not in CONTACT_TYPES:
        return None
    return LeadCaptured(
        email=body.data.email,
        campaign=body.data.campaign,
        source=f"webhook/{push.source}",
        delivery=push.id,
        updated_at=body.data.updated_at,
        orders_count=0,
        spent_cents=0,
    )


@ingress.webhook(Shopify(secrets="shop_secrets"))
def shop(body: ShopCustomer, push: Push) -> LeadCaptured | None:
    """A customer of the shop, created or updated; one without an address cannot be written to and is no lead."""
    if push.headers.get("X-Shopify-Topic") not in CUSTOMER_TOPICS or body.email is None:
        return None
    return LeadCaptured(
        email=body.email,
        campaign="",
        source=f"webhook/{push.source}",
        delivery=push.id,
        updated_at=body.updated_at,
        orders_count=body.orders_count,
        spent_cents=body.spent_cents,
    )
