"""Retiring a service at the desk: over HTTP, and by a person in a browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from selenium.webdriver.common.by import By

from hocket.clock import SystemClock, rfc3339
from tests.browser import CHROMIUM, Person, chromium
from tests.services.deadletters.running_desk import ACT, RunningDesk, manifest, running_desk


def heartbeat(seconds_ago: float) -> dict[str, Any]:
    """One of `crm`."""
    then = rfc3339(SystemClock().now() - timedelta(seconds=seconds_ago))
    return {"kind": "heartbeat", "service": "crm", "instance": "crm-1", "boot": "b", "time": then}


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A desk that has heard of crm."""
    async with running_desk(address) as made:
        await made.told(manifest())
        yield made


async def asked(desk: RunningDesk, name: str, reason: str) -> tuple[int, str]:
    """The answer to a program that retires a service."""
    url = f"/api/services/{name}/retire"
    async with desk.http.post(url, json={"reason": reason}, headers=ACT) as answer:
        return answer.status, await answer.text()


async def reports(desk: RunningDesk) -> list[dict[str, Any]]:
    """The facts that leave for the receipts stream."""
    async with desk.store.read() as db:
        bodies = await db.scalars(sa.text("SELECT body FROM hocket_outbox WHERE kind = 'receipt'"))
        return [fact for body in bodies for fact in json.loads(body)]


async def test_what_is_gone_is_retired_with_a_reason(desk: RunningDesk) -> None:
    """RULES 7.6: a fact says which service, when it was last heard, who retired it and why."""
    await desk.told(heartbeat(3600))
    assert (await asked(desk, "crm", " "))[0] == 409
    assert (await asked(desk, "crm", "sold"))[0] == 200
    [fact] = await reports(desk)
    assert (fact["kind"], fact["retires"], fact["by"], fact["reason"]) == ("retired", "crm", "127.0.0.1", "sold")


async def test_what_runs_or_is_unknown_is_not_retired(desk: RunningDesk) -> None:
    """RULES 7.6: a service heard within three heartbeats is refused with the way out; one never heard is not found."""
    assert (await asked(desk, "nobody", "sold"))[0] == 404
    await desk.told(heartbeat(1))
    status, text = await asked(desk, "crm", "sold")
    assert (status, "Stop all its processes first" in text) == (409, True)
    assert await reports(desk) == []


@pytest.mark.parametrize("path", ["/services/crm/retire", "/letters/letter-1/replay"])
async def test_a_body_that_is_no_form_is_refused(desk: RunningDesk, path: str) -> None:
    """A form without a boundary is 400 with a sentence, no failure of the page."""
    headers = {**ACT, "Content-Type": "multipart/form-data"}
    async with desk.http.post(path, data=b"x", headers=headers) as answer:
        assert (answer.status, "is no form" in await answer.text()) == (400, True)


@pytest.mark.chromium
@pytest.mark.skipif(not CHROMIUM, reason="no chromium on the path")
async def test_a_person_retires_a_service(tmp_path: Path) -> None:
    """The page says first what it would do; with a reason the button does it, and the page says so."""
    with chromium(tmp_path / "profile") as driver:
        async with running_desk(f"sqlite:///{tmp_path}/desk.db") as desk:
            await desk.told(manifest())
            await desk.told(heartbeat(3600))
            person = Person(driver, desk.url)
            await person.open("/services/crm/retire")
            await person.see("Nothing is deleted at the broker")
            field = await asyncio.to_thread(driver.find_element, By.ID, "reason")
            await asyncio.to_thread(field.send_keys, "sold")
            await person.click("form button.danger")
            await person.see("crm is retired")
            assert await person.complaints() == []
            assert await person.sideways() <= 0
            await person.run("window.scrollTo(0, 0)")
            await asyncio.to_thread(driver.get, "about:blank")
