"""Bodies of webhooks that differ from what is read: counted, or kept with cause `drift`."""

import json
from pathlib import Path
from typing import Any

from hocket.drift.tally import Counted
from tests.hocket.worker.webhooks.running import Door, form, running
from tests.hocket.worker.webhooks.test_retrying import retried


def counted(door: Door, name: str) -> Counted:
    """What was counted of one webhook."""
    [watch] = [each for each in door.part.worker.reporter.drift if each.subscription == f"door.{name}"]
    [found] = watch.counted(all_of_it=True)
    return found


async def test_a_body_is_counted_under_its_webhooks_name(tmp_path: Path) -> None:
    """RULES 16.4: the sender is the webhook; `warn` lets it through; what breaks the model is counted too."""
    async with running(tmp_path) as door:
        assert (await door.form(form(score=1, tags=["secret"]))).status == 202
        assert (await door.form(json.dumps({"email": 7}).encode(), "msg_2")).status == 202
        assert (await door.form(b"no json", "msg_3")).status == 202
        assert await door.said() == 1
        found = counted(door, "crm")
        assert (found.source, found.type, found.mode, found.events) == ("crm", "Form", "warn", 2)
        assert {(path, kind.value) for path, kind in found.paths} == {
            ("tags", "unknown"), ("email", "type"), ("campaign", "missing"),
            ("score", "missing"),
        }  # fmt: skip
        assert found.paths[next(key for key in found.paths if key[0] == "tags")].first.event == "msg_1"
        assert "secret" not in repr(found)


async def test_what_differs_is_kept_and_a_retry_lets_it_through(tmp_path: Path) -> None:
    """RULES 16.4, 12.9: kept with cause `drift`, answered 202; tried again by a person it is said, once."""
    async with running(tmp_path, drift="quarantine") as door:
        body = form(score="3")
        first = await door.form(body)
        assert first.status == 202
        [row] = await door.kept()
        assert (row.state, row.cause) == ("kept", "drift")
        assert "score is of another type" in row.error
        assert "ada@" not in row.error
        assert await door.said() == 0
        assert await retried(door, row.id) == "said"
        again = await door.form(body)
        assert (again.status, again.flow) == (202, first.flow)
        assert len([each for each in await door.kept() if each.state == "kept"]) == 0
        assert (await door.form(form(score=1), "msg_2")).status == 202
        assert (await door.form(form(score=2, new=1), "msg_3")).status == 202
        assert await door.said() == 3


async def test_any_authentic_body_is_judged(tmp_path: Path) -> None:
    """RULES 16.1, 16.4, 12.2: nothing that a sender sends raises; it is in custody."""
    bodies: list[Any] = [[], None, 5, "x", {"a": {"b": [1]}}, {"email": None}, json.loads("[" * 200 + "]" * 200)]
    async with running(tmp_path, drift="quarantine") as door:
        for n, body in enumerate(bodies):
            assert (await door.form(json.dumps(body).encode(), f"odd_{n}")).status == 202
        assert {each.cause for each in await door.kept()} == {"contract"}
