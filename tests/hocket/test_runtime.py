"""How `service.tx()` finds the running service."""

import asyncio

import pytest

from hocket.errors import HocketError
from hocket.runtime import current, here
from tests.hocket.sample_services import Processes, World, bells


async def test_it_belongs_to_the_context_and_what_starts_in_it(tower: Processes) -> None:
    """Tasks that are started inside inherit it; outside there is a sentence with the way out."""
    worker = await tower.start(bells.using(World()))

    async def find() -> object:
        return current("bells")

    with here({"bells": worker}):
        task = asyncio.ensure_future(find())
        assert current("bells") is worker
    assert await task is worker
    with pytest.raises(HocketError, match="use tx\\(\\) inside `hocket run`"):
        current("bells")
