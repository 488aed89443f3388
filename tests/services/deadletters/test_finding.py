"""The desk's search by a clear value."""

import json

import pytest

from hocket.pseudonym import Pseudonyms
from tests.services.deadletters.running_desk import dead, event, manifest, running_desk

KEY, EMAIL = "the key of this shop's leads", "ada@example.com"


@pytest.mark.parametrize("wanted", [EMAIL, f"lead/{EMAIL}"])
async def test_letters_are_found_by_a_clear_value(address: str, wanted: str) -> None:
    """RULES 18.2: the search leads to the letters about it, and the address that it leads to shows the pseudonym."""
    (pseudonym,) = Pseudonyms.of(KEY).every(EMAIL)
    body = json.dumps({**json.loads(event(1)), "subject": f"lead/{pseudonym}"}).encode()
    async with running_desk(address, KEY) as desk:
        await desk.told(manifest())
        await desk.dead(dead(1, body=body), dead(2))
        headers = {"X-Hocket-Act": "1"}
        async with desk.http.post("/find", data={"q": wanted}, headers=headers, allow_redirects=False) as to:
            assert to.status == 303
            assert to.headers["Location"] == f"/letters?subject=lead%2F{pseudonym}"
        async with desk.http.get(to.headers["Location"]) as page:
            text = await page.text()
        assert "letter-1" in text
        assert "letter-2" not in text
        assert EMAIL not in text
