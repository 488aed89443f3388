"""`python -m tests.crash`: the crash run; what it is asked for stands in the environment.

| variable | meaning |
|---|---|
| `SEED` | repeats a run's plan; else chance picks one and says it |
| `KILLS` | how many kills (200) |
| `STORE` | `sqlite` (default) or `postgres` |
| `RATE` | sales a second (12) |
| `FOREVER=1` | one run after the other until stopped or until one is not clean |
"""

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs
from tests.crash.databases import Databases, PostgresDatabases, SqliteFiles
from tests.crash.run import Run

FOLDER = Path("var/crash")
KILLS = 200
RATE = 12.0
MOST_SEEDS = 1_000_000


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def databases(store: str, folder: Path) -> Databases:
    """The databases of a run. `ValueError` for a store that there is not."""
    if store == "sqlite":
        return SqliteFiles(folder)
    if store == "postgres":
        return PostgresDatabases(folder)
    raise ValueError(f"STORE={store}: there are sqlite and postgres")


def once(seed: int) -> int:
    """One run, in a folder of its own that stays when the run was not clean."""
    folder = (FOLDER / str(seed)).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = databases(os.environ.get("STORE", "sqlite"), folder)
    node = RabbitNode(folder / "broker")
    try:
        run = Run(
            seed,
            int(os.environ.get("KILLS", KILLS)),
            float(os.environ.get("RATE", RATE)),
            folder,
            node,
            kept,
            say,
        )
        status = asyncio.run(run.run())
    finally:
        node.kill()
        node.stop()
        kept.close()
    if status:
        say(f"not clean: SEED={seed} repeats its plan; what is left of it lies in {FOLDER / str(seed)}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def main() -> int:
    """Run once, or for ever."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(MOST_SEEDS))
    try:
        status = once(seed)
        while os.environ.get("FOREVER") == "1" and not status:
            seed += 1
            status = once(seed)
    except BrokerFailed as failed:
        say(str(failed))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
