"""What a service says of itself."""

import asyncio
import json
from typing import Any

from tests.hocket.sample_services import Processes, World, steps


def facts(tower: Processes, kind: str) -> list[dict[str, Any]]:
    """Every fact of one kind."""
    every = [fact for each in tower.broker.messages("hocket.receipts") for fact in json.loads(each.body)]
    return [fact for fact in every if fact["kind"] == kind]


async def test_a_manifest_at_start_and_each_hour_a_heartbeat_each_ten_seconds(tower: Processes) -> None:
    """docs/wire.md#receipts: declarations and owner; instance and boot are of this start."""
    await tower.start(steps.using(World()))
    await asyncio.sleep(2 * 3600 + 60)
    manifests, beats = facts(tower, "manifest"), facts(tower, "heartbeat")
    assert len(manifests) == 3
    assert 700 < len(beats) < 730
    assert {each["name"] for each in manifests[0]["subscriptions"]} == {"steps.toll", "steps.hush"}
    assert len({each["boot"] for each in beats}) == 1


async def test_a_manifest_waits_for_the_link(tower: Processes) -> None:
    """It is said when the broker is there again, not an hour later."""
    await tower.start(steps.using(World()))
    await tower.quiet()
    await asyncio.sleep(3590)
    tower.broker.cut("steps", heal=False)
    await asyncio.sleep(60)
    tower.broker.reconnect("steps")
    await asyncio.sleep(10)
    assert len(facts(tower, "manifest")) == 2
