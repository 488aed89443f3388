"""What the two senders send, as they document it; updates of one person differ in what a score counts. Pure."""

import json
from datetime import datetime, timedelta, timezone

#: The shop's clock is written in its own zone.
SHOP_ZONE = timezone(timedelta(hours=-5))
#: What the shop begins to send some day without a word.
NEW_FIELD = "loyalty_tier"


def contact(email: str, number: int, edition: int, updated_at: datetime) -> bytes:
    """A message of the CRM's form about contact `number`; the first edition creates it."""
    told = updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"email": email, "campaign": f"campaign {(number + edition) % 4}", "updated_at": told}
    kind = "contact.updated" if edition else "contact.created"
    return json.dumps({"type": kind, "timestamp": told, "data": data}).encode()


def customer(email: str, number: int, edition: int, updated_at: datetime, *, changed: bool) -> bytes:
    """A customer of the shop; `changed` says that the shop has begun to send a new field."""
    told = updated_at.astimezone(SHOP_ZONE).isoformat(timespec="seconds")
    body: dict[str, object] = {
        "id": 7_000_000_000 + number,
        "email": email,
        "created_at": told,
        "updated_at": told,
        "first_name": "Customer",
        "last_name": str(number),
        "orders_count": edition * (1 + number % 3),
        "state": "enabled",
        "total_spent": f"{edition * (100 + number)}.{number % 100:02}",
        "note": None,
        "verified_email": True,
        "tags": "lamps, spring",
        "currency": "EUR",
        "addresses": [],
    }
    return json.dumps(body | ({NEW_FIELD: "gold"} if changed else {})).encode()


def topic(edition: int) -> str:
    """The topic under which the shop sends an edition."""
    return "customers/update" if edition else "customers/create"
