"""The record that the auditor judges by: each try and its answer."""

import json
from pathlib import Path

from deploy.demo.place import PORTS, Place
from deploy.demo.posting import TRIES, Posting
from deploy.demo.world import World
from tests.deploy.demo.small_shop import SmallShop, opened
from tests.deploy.port_offsets import free_offset


def record(world: World) -> list[tuple[str, str, int | None]]:
    """Kind, order and status of each line."""
    lines = [json.loads(line) for line in world.place.posts.read_text(encoding="utf-8").splitlines()]
    return [(line["kind"], line["order_id"], line["status"]) for line in lines]


async def test_a_post_is_repeated_until_the_service_says_something_else(tmp_path: Path) -> None:
    """A 503 is tried again under the same key; every try stands in the record, as the auditor reads it."""
    shop = SmallShop({"A": "placed"}, failures=1)
    async with opened(shop, tmp_path) as world:
        posting = Posting(world)
        answer, why = await posting.cancel("A", "I changed my mind")
        posting.close()
        assert answer is not None
        assert (answer.taken, why) == (True, "")
        assert record(world) == [("cancellation", "A", 503), ("cancellation", "A", 202)]


async def test_what_is_answered_by_nobody_is_told(tmp_path: Path) -> None:
    """Where no try is answered there is no answer, a reason, and a line without a status for each try."""
    place = Place(tmp_path, free_offset(PORTS.values()))
    place.folder.mkdir(parents=True)
    world = World(place)
    posting = Posting(world)
    answer, why = await posting.cancel("A", "I changed my mind")
    posting.close()
    await world.close()
    assert answer is None
    assert "got no answer" in why
    assert record(world) == [("cancellation", "A", None)] * TRIES
