"""Fixtures of the kit's tests: processes of the sample services under virtual time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hocket.broker.topology import kit
from hocket.testing.virtual_time import virtual_time
from tests.hocket.sample_services import Processes


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Processes]:
    """A memory broker and processes with database files, under virtual time."""
    with virtual_time() as clock:
        made = Processes(tmp_path, clock)
        await made.post.open()
        await made.post.until_ready()
        await made.post.declare(kit())
        yield made
        await made.close()
