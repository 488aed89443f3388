"""The demo's senders sign as senders do: by the public library of the one, and the documented example of the other."""

import base64
import hashlib
import hmac
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from deploy.demo.webhooks.signing import Secrets, shopify, standard

BODY = b'{"type":"contact.created"}'
KNOWN = Secrets()


def test_the_form_signs_as_the_public_library_verifies() -> None:
    """Standard Webhooks' own library takes it with the secret that signed, and with no other."""
    headers = dict(standard(KNOWN.form_new, "msg_1", int(time.time()), BODY))
    assert Webhook(KNOWN.form_new).verify(BODY, headers) == {"type": "contact.created"}
    with pytest.raises(WebhookVerificationError):
        Webhook(KNOWN.form_old).verify(BODY, headers)


def test_the_shop_signs_the_bytes_of_the_body() -> None:
    """HMAC-SHA256 with the secret as it is written, in base64."""
    signed = base64.b64encode(hmac.new(KNOWN.shop_new.encode(), BODY, hashlib.sha256).digest()).decode()
    headers = shopify(KNOWN.shop_new, "1", "customers/create", BODY)
    assert headers["X-Shopify-Hmac-Sha256"] == signed
    assert (headers["X-Shopify-Topic"], headers["X-Shopify-Webhook-Id"]) == ("customers/create", "1")


def test_only_two_secrets_of_each_are_told() -> None:
    """The new one first; the one that forgers use is told to nobody, and no run has the secrets of another."""
    told = KNOWN.environment()
    assert told["INGRESS_FORM_SECRETS"] == f"{KNOWN.form_new},{KNOWN.form_old}"
    assert told["INGRESS_SHOP_SECRETS"] == f"{KNOWN.shop_new},{KNOWN.shop_old}"
    assert KNOWN.form_unknown not in str(told)
    assert KNOWN.shop_unknown not in str(told)
    assert Secrets().environment() != told
