"""What the tests of the kit share: a tower of processes under virtual time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hocket.testing.virtual import virtual_time
from hocket.topology import kit
from tests.hocket.bells import Tower


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Tower]:
    """A broker, processes on files, virtual time."""
    with virtual_time() as clock:
        made = Tower(tmp_path, clock)
        await made.post.open()
        await made.post.until_ready()
        await made.post.declare(kit())
        yield made
        await made.close()
