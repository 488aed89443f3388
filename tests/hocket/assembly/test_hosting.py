"""Services inside another application."""

import asyncio
from pathlib import Path

from hocket import Service
from hocket.assembly import hosted
from hocket.assembly.hosting import Hosted
from hocket.config import Config

guest = Service("guest", owner="team-tower")


async def test_entered_in_one_task_and_left_in_another(tmp_path: Path) -> None:
    """As fixtures and start-up hooks of frameworks do: everything stops, and the file can be opened again."""
    config = Config.model_construct(
        broker_url="memory://", database_url=f"sqlite:///{tmp_path}/{{service}}.db", http_host="127.0.0.1"
    )
    for _ in range(2):
        context = hosted(guest, config=config)
        inside: Hosted = await asyncio.create_task(context.__aenter__())
        with inside.here():
            async with guest.tx() as tx:
                assert not tx.seen
        assert not await asyncio.create_task(context.__aexit__(None, None, None))
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("guest:")]
