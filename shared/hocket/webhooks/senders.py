"""The senders that the kit knows: Standard Webhooks, Stripe, Shopify, GitHub. Pure."""

import base64
import binascii
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import ClassVar

import orjson

from hocket.webhooks.signature import Push, Signature

#: Most signatures of one push that are compared; a sender sends one for each of its active secrets.
MAX_SIGNATURES = 20

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_WHSEC = "whsec_"


class StandardWebhooks(Signature):
    """Standard Webhooks (standardwebhooks.com), as Svix, Clerk, Resend, OpenAI and others send them.

    A secret is base64, with or without `whsec_` before it. Signatures of a public key (`v1a`) are passed over.
    """

    headers: ClassVar[tuple[str, ...]] = ("webhook-id", "webhook-timestamp", "webhook-signature")

    def verify(self, push: Push, secret: bytes) -> bool:
        """HMAC-SHA256 over id, timestamp and body."""
        about = [push.headers.get(name, "") for name in self.headers]
        id, at, signatures = about
        if not id or "." in at or not _SECONDS.fullmatch(at):
            return False
        signed = b".".join((id.encode(errors="surrogateescape"), at.encode(), push.body))
        expected = b"v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256))
        return _one_of(signatures.split(" "), expected)

    def delivery_id(self, push: Push) -> str:
        """`webhook-id`."""
        return push.headers.get("webhook-id", "")

    def signed_at(self, push: Push) -> datetime | None:
        """`webhook-timestamp`."""
        return _moment(push.headers.get("webhook-timestamp", ""))

    def secret_of(self, text: str) -> bytes:
        """The bytes of the base64. `ValueError` where it is none."""
        try:
            bare = text.removeprefix(_WHSEC)
            return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except binascii.Error as error:
            raise ValueError("is not base64: copy it whole, with or without whsec_") from error


class Stripe(Signature):
    """Stripe: `Stripe-Signature: t=…,v1=…`. Signatures of other schemes (`v0`) are passed over."""

    headers: ClassVar[tuple[str, ...]] = ("Stripe-Signature",)

    def verify(self, push: Push, secret: bytes) -> bool:
        """HMAC-SHA256 over timestamp and body."""
        parts = _stripe_parts(push)
        moments = [value for name, value in parts if name == "t"]
        if len(moments) != 1 or not _SECONDS.fullmatch(moments[0]):
            return False
        expected = hmac.digest(secret, moments[0].encode() + b"." + push.body, hashlib.sha256).hex().encode()
        return _one_of([value for name, value in parts if name == "v1"], expected)

    def delivery_id(self, push: Push) -> str:
        """`id` in the body, the event's."""
        try:
            found = orjson.loads(push.body)
        except ValueError:
            return ""
        id = found.get("id") if isinstance(found, dict) else None
        return id if isinstance(id, str) else ""

    def signed_at(self, push: Push) -> datetime | None:
        """`t` of the header."""
        return next((_moment(value) for name, value in _stripe_parts(push) if name == "t"), None)


class Shopify(Signature):
    """Shopify: `X-Shopify-Hmac-Sha256` signs the body and nothing else, so an equal body is the same push."""

    signs_id: ClassVar[bool] = False
    headers: ClassVar[tuple[str, ...]] = (
        "X-Shopify-Hmac-Sha256",
        "X-Shopify-Topic",
        "X-Shopify-Webhook-Id",
        "X-Shopify-Event-Id",
        "X-Shopify-Shop-Domain",
        "X-Shopify-Triggered-At",
        "X-Shopify-API-Version",
    )

    def verify(self, push: Push, secret: bytes) -> bool:
        """HMAC-SHA256 over the body, in base64."""
        expected = base64.b64encode(hmac.digest(secret, push.body, hashlib.sha256))
        return _one_of([push.headers.get("X-Shopify-Hmac-Sha256", "")], expected)

    def delivery_id(self, push: Push) -> str:
        """Topic and `X-Shopify-Webhook-Id`: one change of the shop may cause pushes of several topics."""
        id = push.headers.get("X-Shopify-Webhook-Id", "")
        return f"{push.headers.get('X-Shopify-Topic', '')}/{id}" if id else ""


class GitHub(Signature):
    """GitHub: `X-Hub-Signature-256` signs the body and nothing else, so an equal body is the same push.

    Choose the content type `application/json` there.
    """

    signs_id: ClassVar[bool] = False
    headers: ClassVar[tuple[str, ...]] = (
        "X-Hub-Signature-256",
        "X-GitHub-Delivery",
        "X-GitHub-Event",
        "X-GitHub-Hook-ID",
        "X-GitHub-Hook-Installation-Target-ID",
        "X-GitHub-Hook-Installation-Target-Type",
    )

    def verify(self, push: Push, secret: bytes) -> bool:
        """HMAC-SHA256 over the body, in hexadecimal digits."""
        expected = b"sha256=" + hmac.digest(secret, push.body, hashlib.sha256).hex().encode()
        return _one_of([push.headers.get("X-Hub-Signature-256", "")], expected)

    def delivery_id(self, push: Push) -> str:
        """`X-GitHub-Delivery`; a redelivery has the same."""
        return push.headers.get("X-GitHub-Delivery", "")


def _one_of(given: list[str], expected: bytes) -> bool:
    """Whether one of these texts is the expected one. As text, not decoded: base64 has several forms of some bytes."""
    found = False
    for each in given[:MAX_SIGNATURES]:
        found |= hmac.compare_digest(each.encode(errors="surrogateescape"), expected)
    return found


def _moment(seconds: str) -> datetime | None:
    if not _SECONDS.fullmatch(seconds):
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _stripe_parts(push: Push) -> list[tuple[str, str]]:
    parts = [each.partition("=") for each in push.headers.get("Stripe-Signature", "").split(",")]
    return [(name.strip(), value.strip()) for name, _, value in parts]
