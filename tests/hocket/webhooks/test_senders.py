"""The signatures of the senders that the kit knows, against the senders' own libraries and documented vectors."""

import base64
import hashlib
import hmac
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import stripe

from hocket.errors import DeclarationError
from hocket.webhooks import GitHub, Push, Shopify, Signature, StandardWebhooks, Stripe
from hocket.webhooks.signature import headers_of

BODY = b'{"type":"contact.created","id":"evt_1","name":"Ada \xc3\xa9"}'
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

standard = StandardWebhooks(secrets="x")
pay = Stripe(secrets="x")
shop = Shopify(secrets="x")
code = GitHub(secrets="x")


def push(body: bytes, headers: Mapping[str, str]) -> Push:
    """As it came."""
    return Push("source", "", NOW, body, headers_of(headers))


def by_standard_library(secret: str, id: str = "msg_1", body: bytes = BODY) -> dict[str, str]:
    """Signed by the library of Standard Webhooks."""
    return {
        "Webhook-Id": id,
        "Webhook-Timestamp": str(int(NOW.timestamp())),
        "Webhook-Signature": standardwebhooks.Webhook(secret).sign(id, NOW, body.decode()),
    }


def by_stripe(secret: str, body: bytes = BODY) -> str:
    """Signed by Stripe's library."""
    moment = int(NOW.timestamp())
    return stripe.WebhookSignature._compute_signature(f"{moment}.{body.decode()}", secret)  # noqa: SLF001


def test_standard_webhooks_are_as_their_library_signs() -> None:
    """RULES 12.7: a secret with or without its prefix, with or without padding; the id is signed."""
    headers = by_standard_library(WHSEC)
    given = push(BODY, headers)
    for text in (WHSEC, WHSEC.removeprefix("whsec_")):
        assert standard.verify(given, standard.secret_of(text))
    assert not standard.verify(given, b"another secret of some length")
    assert standard.delivery_id(given) == "msg_1"
    assert standard.signed_at(given) == NOW
    assert not standard.verify(push(BODY, {**headers, "Webhook-Id": "msg_2"}), standard.secret_of(WHSEC))
    assert standard.secret_of("YWJjZA") == b"abcd"


def test_standard_webhooks_take_what_their_library_takes() -> None:
    """RULES 12.7: what we sign as documented the library accepts, so both mean the same."""
    moment = str(int(time.time()))
    digest = hmac.digest(standard.secret_of(WHSEC), f"m.{moment}.".encode() + BODY, hashlib.sha256)
    headers = {
        "webhook-id": "m", "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }  # fmt: skip
    assert standardwebhooks.Webhook(WHSEC).verify(BODY, headers)["id"] == "evt_1"
    assert standard.verify(push(BODY, headers), standard.secret_of(WHSEC))


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        ("v1,AAAA {good}", True),
        ("{good} v1,AAAA", True),
        ("v1a,{bare} {good}", True),
        ("v1a,{bare}", False),
        ("v2,{bare}", False),
        ("v1,{bare},", False),
        ("{bare}", False),
        ("", False),
        ("v1,", False),
        (" ".join(["v1,AAAA"] * 30) + " {good}", False),
    ],
)
def test_several_signatures_of_standard_webhooks(header: str, valid: bool) -> None:
    """RULES 12.7: any of the first twenty; those of a public key (`v1a`) are passed over."""
    good = by_standard_library(WHSEC)["Webhook-Signature"]
    headers = {**by_standard_library(WHSEC), "Webhook-Signature": header.format(good=good, bare=good[3:])}
    assert standard.verify(push(BODY, headers), standard.secret_of(WHSEC)) is valid


@pytest.mark.parametrize("moment", ["", "x", "-1", "1.5", " 1", "١", "9" * 13, "1e9"])
def test_a_timestamp_is_whole_seconds(moment: str) -> None:
    """RULES 12.8: nothing that two readers could read as two moments."""
    headers = {**by_standard_library(WHSEC), "Webhook-Timestamp": moment}
    digest = hmac.digest(standard.secret_of(WHSEC), f"msg_1.{moment}.".encode() + BODY, hashlib.sha256)
    headers["Webhook-Signature"] = f"v1,{base64.b64encode(digest).decode()}"
    assert not standard.verify(push(BODY, headers), standard.secret_of(WHSEC))


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        ("t={t},v1={good}", True),
        ("t={t}, v1={good}", True),
        (" t={t} ,v1= {good} ", True),
        ("v1={good},t={t}", True),
        ("t={t},v1=00,v1={good}", True),
        ("t={t},v1={good},v0=11", True),
        ("t={t},v0={good}", False),
        ("t={t},v1={upper}", False),
        ("t={t},t={t},v1={good}", False),
        ("t=1,v1={good}", False),
        ("v1={good}", False),
        ("t={t}", False),
        ("t={t},v1", False),
        ("", False),
    ],
)
def test_stripe_is_as_its_library_signs(header: str, valid: bool) -> None:
    """RULES 12.7: several v1, v0 passed over, spaces around; two timestamps are none."""
    good, moment = by_stripe("whsec_stripe_secret"), int(NOW.timestamp())
    given = push(BODY, {"stripe-signature": header.format(t=moment, good=good, upper=good.upper())})
    assert pay.verify(given, b"whsec_stripe_secret") is valid
    if valid:
        assert pay.signed_at(given) == NOW


@pytest.mark.parametrize(
    ("body", "id"), [(BODY, "evt_1"), (b"{}", ""), (b"[]", ""), (b'{"id": 1}', ""), (b"{", ""), (b"\xff", "")]
)
def test_stripes_id_stands_in_the_body(body: bytes, id: str) -> None:
    """RULES 12.3."""
    assert pay.delivery_id(push(body, {})) == id


def test_github_is_as_documented() -> None:
    """RULES 12.7: the vector of docs.github.com, Validating webhook deliveries."""
    headers = {
        "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    }
    given = push(b"Hello, World!", headers)
    assert code.verify(given, b"It's a Secret to Everybody")
    assert not code.verify(given, b"It's a Secret to Nobody")
    assert code.delivery_id(given) == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert code.same_body


def test_shopify_is_as_documented() -> None:
    """RULES 12.3, 12.7: base64 of the HMAC over the body; the id is topic and webhook id."""
    digest = hmac.new(b"hush", b'{"id":1}', hashlib.sha256).digest()
    headers = {
        "X-Shopify-Hmac-SHA256": base64.b64encode(digest).decode(),
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Webhook-Id": "b54557e4",
        "X-Shopify-Event-Id": "98880550",
    }
    given = push(b'{"id":1}', headers)
    assert shop.verify(given, b"hush")
    assert shop.delivery_id(given) == "orders/create/b54557e4"
    assert shop.delivery_id(push(b"", {"X-Shopify-Topic": "orders/create"})) == ""
    assert shop.same_body


SECRET = b"a secret of thirty-two bytes ..."


def signed_push(of: Signature) -> Push:
    """One push of each sender."""
    moment = int(NOW.timestamp())
    if of is standard:
        digest = hmac.digest(SECRET, f"msg_1.{moment}.".encode() + BODY, hashlib.sha256)
        headers = {
            "webhook-id": "msg_1", "webhook-timestamp": str(moment),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }  # fmt: skip
    elif of is pay:
        digest = hmac.digest(SECRET, f"{moment}.".encode() + BODY, hashlib.sha256)
        headers = {"stripe-signature": f"t={moment},v1={digest.hex()}"}
    elif of is shop:
        headers = {"x-shopify-hmac-sha256": base64.b64encode(hmac.digest(SECRET, BODY, hashlib.sha256)).decode()}
    else:
        headers = {"x-hub-signature-256": f"sha256={hmac.digest(SECRET, BODY, hashlib.sha256).hex()}"}
    return push(BODY, headers)


def flipped(raw: bytes, chance: random.Random) -> bytes:
    """The same with one bit changed."""
    at = chance.randrange(len(raw) * 8)
    changed = bytearray(raw)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


@pytest.mark.parametrize("of", [standard, pay, shop, code], ids=lambda each: type(each).__name__)
def test_no_single_changed_bit_is_accepted(of: Signature) -> None:
    """RULES 12.7: 10,000 changes of one bit in body, header or secret, of all senders together."""
    chance, good = random.Random(12), signed_push(of)
    assert of.verify(good, SECRET)
    for n in range(2_500):
        body, secret, headers = good.body, SECRET, dict(good.headers)
        if n % 3 == 0:
            body = flipped(body, chance)
        elif n % 3 == 1:
            secret = flipped(secret, chance)
        else:
            name = chance.choice(list(headers))
            headers[name] = flipped(headers[name].encode(), chance).decode("utf-8", "surrogateescape")
        assert not of.verify(push(body, headers), secret), (n, headers)


def test_a_signature_that_cannot_be_is_refused_at_import() -> None:
    """RULES 12.2, 12.7: a secret in the code, no tolerance, a header that is never kept."""
    with pytest.raises(DeclarationError, match="never write a secret there"):
        Stripe(secrets="whsec-abc=")
    with pytest.raises(DeclarationError, match="give a timedelta above 0"):
        Stripe(secrets="x", tolerance=timedelta())

    class Own(Shopify):
        """A sender with a bad idea."""

        headers = ("Authorization",)

    with pytest.raises(DeclarationError, match="which is never kept"):
        Own(secrets="x")
