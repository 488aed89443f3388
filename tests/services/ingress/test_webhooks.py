"""Both senders' webhooks over real HTTP, signed as their public descriptions say."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.demo.webhooks import bodies
from deploy.demo.webhooks.signing import shopify, standard
from hocket.webhooks import Push
from services.ingress import ingress
from services.ingress.domain import ContactMessage, ShopCustomer
from services.ingress.events import LeadCaptured
from services.ingress.handlers import form, shop
from tests.senders import SECRETS
from tests.services.running_service import serving

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONTACT = bodies.contact("ada@example.com", 1, 0, NOON)
CUSTOMER = bodies.customer("bob@example.com", 7, 1, NOON, changed=True)


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """An ingress that runs."""
    async with serving(ingress, tmp_path) as session:
        yield session


async def _push(
    http: aiohttp.ClientSession, name: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, Any]]:
    async with http.post(f"/webhooks/{name}", data=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.read() or b"{}")


def _of_form(secret: str, id: str = "msg_1", body: bytes = CONTACT, late: int = 0) -> Mapping[str, str]:
    return standard(secret, id, int(time.time()) - late, body)


async def test_each_sender_is_taken_once(http: aiohttp.ClientSession) -> None:
    """202, and the same again, also signed with the secret that was used before: the same flow."""
    status, first = await _push(http, "form", _of_form(SECRETS.form_new), CONTACT)
    assert (status, bool(first["flow"])) == (202, True)
    assert await _push(http, "form", _of_form(SECRETS.form_old), CONTACT) == (202, first)
    status, second = await _push(http, "shop", shopify(SECRETS.shop_old, "1", "customers/update", CUSTOMER), CUSTOMER)
    assert (status, second["flow"] != first["flow"]) == (202, True)
    again = shopify(SECRETS.shop_new, "1", "customers/update", CUSTOMER)
    assert await _push(http, "shop", again, CUSTOMER) == (202, second)


@pytest.mark.parametrize(
    ("name", "headers", "body"),
    [
        ("form", {}, CONTACT),
        ("form", _of_form(SECRETS.form_unknown), CONTACT),
        ("form", _of_form(SECRETS.form_new), CONTACT + b" "),
        ("form", _of_form(SECRETS.form_new, late=600), CONTACT),
        ("shop", {"X-Shopify-Topic": "customers/create", "X-Shopify-Webhook-Id": "1"}, CUSTOMER),
        ("shop", shopify(SECRETS.shop_unknown, "1", "customers/create", CUSTOMER), CUSTOMER),
    ],
    ids=["unsigned", "unknown secret", "changed", "ten minutes late", "unsigned by the shop", "unknown to the shop"],
)
async def test_what_is_not_signed_well_is_refused(
    http: aiohttp.ClientSession, name: str, headers: Mapping[str, str], body: bytes
) -> None:
    """401, and the id is still free for whoever signs it."""
    assert (await _push(http, name, headers, body))[0] == 401
    status, answer = await _push(http, "form", _of_form(SECRETS.form_new), CONTACT)
    assert (status, bool(answer["flow"])) == (202, True)


def _pushed(source: str, id: str, topic: str = "") -> Push:
    return Push(source, id, NOON, b"", {"X-Shopify-Topic": topic})


def test_both_become_the_same_event() -> None:
    """With the sender's own clock, whatever its zone, and money in cents."""
    message = ContactMessage.model_validate_json(CONTACT)
    assert form(message, _pushed("form", "msg_1")) == LeadCaptured(
        email="ada@example.com", campaign="campaign 1", source="webhook/form", delivery="msg_1", updated_at=NOON,
        orders_count=0, spent_cents=0,
    )  # fmt: skip
    customer = ShopCustomer.model_validate_json(CUSTOMER)
    assert shop(customer, _pushed("shop", "customers/update/1", "customers/update")) == LeadCaptured(
        email="bob@example.com", campaign="", source="webhook/shop", delivery="customers/update/1", updated_at=NOON,
        orders_count=2, spent_cents=107_07,
    )  # fmt: skip


def test_what_is_no_lead_says_nothing() -> None:
    """A message of another type, a topic that nobody asked for, a customer without an address."""
    message = ContactMessage.model_validate_json(CONTACT).model_copy(update={"type": "contact.deleted"})
    assert form(message, _pushed("form", "msg_1")) is None
    customer = ShopCustomer.model_validate_json(CUSTOMER)
    assert shop(customer, _pushed("shop", "1", "orders/create")) is None
    nameless = ShopCustomer.model_validate_json(CUSTOMER.replace(b'"bob@example.com"', b"null"))
    assert shop(nameless, _pushed("shop", "1", "customers/create")) is None
