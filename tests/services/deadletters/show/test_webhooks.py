"""The page of webhooks, fed by the facts of a service, in a real browser and for programs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from hocket.clock import SystemClock, rfc3339
from services.deadletters.ask.webhooks import WebhookGroup
from services.deadletters.show.webhooks import headline
from tests.browser import NEEDS_CHROMIUM, Person, chromium
from tests.services.deadletters.running_desk import running_desk

pytestmark = NEEDS_CHROMIUM
NOW = SystemClock().now()
AT = rfc3339(NOW)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One headless chromium for this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def hook(id: str, state: str = "kept", cause: str = "mapping", **more: Any) -> dict[str, Any]:
    """A fact about one webhook."""
    return {
        "kind": "webhook", "service": "ingress", "time": AT, "id": id, "source": "crm", "state": state, "cause": cause,
        "error": "KeyError: <b>region</b>", "delivery": "msg_1", "received": AT, **more,
    }  # fmt: skip


def counts(boot: str, **ends: int) -> dict[str, Any]:
    """A fact about how pushes ended."""
    return {"kind": "webhooks", "service": "ingress", "boot": boot, "time": AT, "counts": {"crm": ends}}


async def test_what_is_open_is_listed_with_the_command_that_retries_it(
    tmp_path: Path, browser: webdriver.Chrome
) -> None:
    """RULES 12.2: by source and cause, since when; a settled one is not; foreign text is text."""
    async with running_desk(f"sqlite:///{tmp_path}/desk.db") as desk:
        await desk.told(hook("1"), hook("2"), hook("3", "refused", "skew"), hook("4", "said"))
        await desk.told(counts("a", said=5, twin=1, signature=2))
        person = Person(browser, desk.url)
        await person.open("/webhooks")
        text = await person.run("return document.querySelector('main').innerText")
        assert "2 webhooks are kept and wait for a person" in text
        assert "hocket webhooks retry ingress --source crm --cause mapping" in text
        assert "hocket webhooks retry ingress 3 --accept-skew" in text
        assert "<b>region</b>" in text
        assert "2 signature" in text
        wide = await person.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert wide


async def test_facts_may_come_in_any_order_and_twice(tmp_path: Path) -> None:
    """RULES 7.4, 12.2: a settled one stays settled, a count is that of the fact that has counted most."""
    later = rfc3339(NOW + timedelta(minutes=1))
    counted = [counts("a", said=2), counts("a", said=3), counts("b", said=10)]
    facts = [hook("1"), hook("1", "said", time=later), *counted]
    answers = []
    for at, order in enumerate((facts, facts[::-1], [*facts, *facts])):
        async with running_desk(f"sqlite:///{tmp_path}/desk{at}.db") as desk:
            for fact in order:
                await desk.told(fact)
            async with desk.http.get(f"{desk.url}/api/webhooks") as response:
                answers.append(await response.json())
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["open"] == []
    assert answers[0]["sources"][0]["ends"] == {"said": 13}


def test_the_headline_counts_what_waits() -> None:
    """RULES 12.2: samples of what was refused wait for nobody."""
    one = WebhookGroup("ingress", "crm", "kept", "mapping", 1, AT, AT, "1", "", "msg_1")
    refused = WebhookGroup("ingress", "crm", "refused", "skew", 7, AT, AT, "1", "", "msg_1")
    assert headline([refused]) == "No webhook waits for a person"
    assert headline([one, refused]) == "1 webhook is kept and waits for a person"
