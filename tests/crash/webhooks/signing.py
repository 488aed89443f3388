"""How four senders write and sign a push, from their public descriptions; shares no code with what verifies. Pure."""

import hashlib
import hmac
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.demo.webhooks.signing import Secrets, shopify, standard
from tests.crash.webhooks.plan import Copy, Delivery, Due, Signed

#: How old the timestamp of a stale push is, in seconds: twice the tolerance.
STALE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt as it goes over the wire. `what` tells two contents under one id apart."""

    what: str
    headers: Mapping[str, str]
    body: bytes


def environment(secrets: Secrets) -> dict[str, str]:
    """What ingress is told: of each sender the new secret and the old one that still counts."""
    form, shop = f"{secrets.form_new},{secrets.form_old}", f"{secrets.shop_new},{secrets.shop_old}"
    return {
        "CRASH_HOOKS_STANDARD": form, "CRASH_HOOKS_STRIPE": shop, "CRASH_HOOKS_SHOPIFY": shop,
        "CRASH_HOOKS_GITHUB": shop,
    }  # fmt: skip


def what_of(copy: Copy | None) -> str:
    """The content of a push; `copy` is None for the first."""
    return "other" if copy is Copy.OTHER else "first"


def request_of(each: Delivery, copy: Copy | None, secrets: Secrets, now: int, chance: random.Random) -> Request:
    """One attempt of one push of a delivery, signed anew at `now` (seconds since 1970)."""
    id = f"t-{each.id}" if copy is Copy.TWIN else each.id
    body = _body(each, copy, id, chance)
    moment = now - STALE_SECONDS if each.signed is Signed.STALE else now
    headers = {} if each.signed is Signed.NOT else _signed(each, id, secrets, moment, body)
    return Request(what_of(copy), {"Content-Type": "application/json", **headers}, body)


def _body(each: Delivery, copy: Copy | None, id: str, chance: random.Random) -> bytes:
    fields: dict[str, object] = {"number": each.number, "quiet": each.due is Due.NOTHING}
    if each.sender == "stripe":
        fields["id"] = id
    if each.due is not Due.CONTRACT:
        fields["what"] = what_of(copy)
    if copy is Copy.RECOMPUTED:
        fields["sent"] = chance.random()  # nobody reads it; another one in each attempt
    whole = json.dumps(fields).encode()
    return whole[:-1] if each.due is Due.UNPARSABLE else whole


def _signed(each: Delivery, id: str, secrets: Secrets, at: int, body: bytes) -> Mapping[str, str]:
    form = {Signed.OLD: secrets.form_old, Signed.UNKNOWN: secrets.form_unknown}.get(each.signed, secrets.form_new)
    shop = {Signed.OLD: secrets.shop_old, Signed.UNKNOWN: secrets.shop_unknown}.get(each.signed, secrets.shop_new)
    match each.sender:
        case "standard":
            return standard(form, id, at, body)
        case "stripe":
            return {"Stripe-Signature": f"t={at},v1={_digits(shop, f'{at}.'.encode() + body)}"}
        case "shopify":
            return shopify(shop, id, "orders/create", body)
        case "github":
            signature = f"sha256={_digits(shop, body)}"
            return {"X-GitHub-Event": "push", "X-GitHub-Delivery": id, "X-Hub-Signature-256": signature}
    raise ValueError(f"there is no sender {each.sender}")


def _digits(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
