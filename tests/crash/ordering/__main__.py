"""`python -m tests.crash.ordering`: the crash run of ordered subscriptions.

| variable | meaning |
|---|---|
| `SEED` | repeats a run's plan; else chance picks one and says it |
| `KILLS` | how many kills (100) |
| `STORE` | `sqlite` (default, one process) or `postgres` (three replicas) |
| `RATE` | events a second (10) |
| `SABOTAGE` | takes one promise away, so that the verdict must be red: `line` or `release` |
"""

import asyncio
import logging
import os
import random
import shutil
import sys
from pathlib import Path

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs
from tests.crash.__main__ import MOST_SEEDS, say
from tests.crash.databases import Databases, PostgresDatabases, SqliteFiles
from tests.crash.ordering.run import OrderedRun
from tests.crash.ordering.services import CHAIN, SABOTAGES

FOLDER = Path("var/crash-ordered")
KILLS, RATE = 100, 10.0


def databases(store: str, folder: Path) -> Databases:
    """The databases of a run. `ValueError` for a store that there is not."""
    if store == "sqlite":
        return SqliteFiles(folder)
    if store == "postgres":
        return PostgresDatabases(folder, tuple(CHAIN))
    raise ValueError(f"STORE={store}: there are sqlite and postgres")


def once(seed: int, sabotage: str) -> int:
    """One run, in a folder of its own that stays when the run was not clean."""
    folder = (FOLDER / str(seed)).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = databases(os.environ.get("STORE", "sqlite"), folder)
    node = RabbitNode(folder / "broker")
    kills, rate = int(os.environ.get("KILLS", KILLS)), float(os.environ.get("RATE", RATE))
    try:
        status = asyncio.run(OrderedRun(seed, kills, rate, folder, node, kept, say, sabotage=sabotage).run())
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
    """Run once."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    if (sabotage := os.environ.get("SABOTAGE", "")) and sabotage not in SABOTAGES:
        say(f"SABOTAGE={sabotage}: there are {', '.join(SABOTAGES)}")
        return 2
    logging.getLogger("aiormq").addHandler(logging.NullHandler())  # it tells each try while the broker is away
    try:
        return once(int(os.environ.get("SEED") or random.SystemRandom().randrange(MOST_SEEDS)), sabotage)
    except BrokerFailed as failed:
        say(str(failed))
        return 2


if __name__ == "__main__":
    sys.exit(main())
