"""`python -m tests.crash.history`: what it is asked for stands in the environment.

| variable | meaning |
|---|---|
| `SEED` | repeats a run's chances; else chance picks one and says it |
| `KILLS` | how often each of backfill and rebuild is killed (20) |
| `STORE` | `sqlite` (default) or `postgres` |
| `EVENTS` | how many events of history are said first (4000) |
"""

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path

from deploy.broker.node import RabbitNode, find_programs
from tests.crash.history.archive_process import Database
from tests.crash.history.run import HistoryRun

FOLDER = Path("var/crash-history")
KILLS, EVENTS, MOST_SEEDS = 20, 4000, 1_000_000


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def once(seed: int, kills: int, events: int, store: str, folder: Path) -> int:
    """One run, in this folder."""
    node, database = RabbitNode(folder / "broker"), Database(store, folder)
    try:
        return asyncio.run(HistoryRun(seed, kills, events, folder, node, database, say).run())
    finally:
        node.kill()
        node.stop()
        database.close()


def main() -> int:
    """Run once; the folder stays where it was not clean."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    store = os.environ.get("STORE", "sqlite")
    if store not in {"sqlite", "postgres"}:
        say(f"STORE={store}: there are sqlite and postgres")
        return 2
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(MOST_SEEDS))
    folder = (FOLDER / str(seed)).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"seed {seed}, {store}")
    kills, events = int(os.environ.get("KILLS", KILLS)), int(os.environ.get("EVENTS", EVENTS))
    status = once(seed, kills, events, store, folder)
    if status:
        say(f"not clean: SEED={seed} repeats its chances; what is left of it lies in {FOLDER / str(seed)}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
