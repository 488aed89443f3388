"""The tracer's search by a clear value."""

import asyncio

import pytest

from hocket.broker.port import Message
from hocket.broker.topology import EVENTS
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.pseudonym import Pseudonyms
from tests.services.tracer.running_tracer import tracing
from tests.services.tracer.sample_facts import START

KEY, EMAIL = "the key of this shop's leads", "ada@example.com"


async def test_a_lead_is_found_by_its_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 18.2: the search leads to the flow, and the address that it leads to shows the pseudonym."""
    monkeypatch.setenv("HOCKET_PSEUDONYM_KEY", KEY)
    (pseudonym,) = Pseudonyms.of(KEY).every(EMAIL)
    lead = Envelope(
        "1", "/ingress", "lead.captured", 1, f"lead/{pseudonym}", START, "flow-1", "k", {"email": EMAIL, "campaign": ""}
    )
    async with tracing(address) as shop:
        monkeypatch.delenv("HOCKET_PSEUDONYM_KEY")  # settings are read once, at the start
        await shop.publish(Message(EVENTS, "lead.captured.v1", encode(lead), CONTENT_TYPE, type=lead.type))
        async with asyncio.timeout(10):
            place = ""
            while "lead" not in place:  # until the tracer has read it
                for wanted in (EMAIL, f"lead/{EMAIL}"):
                    headers = {"X-Hocket-Act": "1"}
                    async with shop.http.post(
                        "/find", data={"q": wanted}, headers=headers, allow_redirects=False
                    ) as to:
                        assert to.status == 303
                        place = to.headers["Location"]
                        assert EMAIL not in place
                await asyncio.sleep(0.05)
        async with shop.http.get(place) as page:
            text = await page.text()
        assert pseudonym in text
        assert EMAIL not in text
