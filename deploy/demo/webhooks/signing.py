"""How the two senders sign, written from their public descriptions and sharing no code with what verifies. Pure.

The CRM's form keeps to Standard Webhooks: HMAC-SHA256 over `ID.TIMESTAMP.BODY` in base64, behind `v1,`. Shopify signs
the body alone: HMAC-SHA256 in base64.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a secret of Standard Webhooks begins with; base64 follows.
WHSEC = "whsec_"
SECRET_BYTES = 24


def _form_secret() -> str:
    return WHSEC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _shop_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of both senders: the new one, the old one that still counts, and one that nobody was told of."""

    form_new: str = field(default_factory=_form_secret)
    form_old: str = field(default_factory=_form_secret)
    form_unknown: str = field(default_factory=_form_secret)
    shop_new: str = field(default_factory=_shop_secret)
    shop_old: str = field(default_factory=_shop_secret)
    shop_unknown: str = field(default_factory=_shop_secret)

    def environment(self) -> dict[str, str]:
        """What ingress is told: the secrets that count, the new one first."""
        return {
            "INGRESS_FORM_SECRETS": f"{self.form_new},{self.form_old}",
            "INGRESS_SHOP_SECRETS": f"{self.shop_new},{self.shop_old}",
        }


def standard(secret: str, id: str, at: int, body: bytes) -> Mapping[str, str]:
    """The headers of Standard Webhooks; `at` is in seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(WHSEC))
    signed = _signature(key, f"{id}.{at}.".encode() + body)
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signed}"}


def shopify(secret: str, id: str, topic: str, body: bytes) -> Mapping[str, str]:
    """The headers of a webhook from Shopify."""
    return {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": _signature(secret.encode(), body),
        "X-Shopify-Webhook-Id": id,
        "X-Shopify-Shop-Domain": "lamps.example.com",
        "X-Shopify-API-Version": "2024-01",
    }


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
