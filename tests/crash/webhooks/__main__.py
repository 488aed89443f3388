"""`python -m tests.crash.webhooks`: the crash run of webhooks; what it is asked for stands in the environment.

| variable | meaning |
|---|---|
| `SEED` | repeats a run's plan; else chance picks one and says it |
| `KILLS` | how many kills of processes (60), over which the pushes are spread |
| `STORE` | `sqlite` (default), or `postgres` with two replicas of ingress |
| `EVENTS` | how many deliveries (10000); nearly a third of them is pushed twice |
| `RATE` | most deliveries a second (80) |
| `SABOTAGE` | `early`, `twice`, `unsigned`: takes a promise away (`sabotage.py`), to see that the verdict turns red |
"""

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs
from deploy.database.server import DatabaseFailed
from tests.crash.databases import Databases, PostgresDatabases, SqliteFiles
from tests.crash.webhooks.plan import INGRESS, SUBSCRIBERS
from tests.crash.webhooks.run import Run
from tests.crash.webhooks.sabotage import SABOTAGES

FOLDER = Path("var/crash-webhooks")
KILLS, EVENTS, RATE = 60, 10_000, 80.0
REPLICAS = {"sqlite": 1, "postgres": 2}
MOST_SEEDS = 1_000_000
#: Most that may be asked for.
MOST_KILLS, MOST_EVENTS, MOST_RATE = 10_000, 1_000_000, 1000.0


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def once(seed: int, store: str, kills: int, events: int, rate: float, sabotage: str) -> int:
    """One run, in a folder of its own that stays when the run was not clean."""
    folder = (FOLDER / f"{store}-{seed}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    services = (INGRESS, *SUBSCRIBERS)
    kept: Databases = PostgresDatabases(folder, services) if store == "postgres" else SqliteFiles(folder)
    node = RabbitNode(folder / "broker")
    say(f"SEED={seed} STORE={store}: {events} deliveries, {kills} kills")
    try:
        node.start()
        kept.start()
        run = Run(seed, kills, events, rate, REPLICAS[store], folder, node, node.url(), kept, say, sabotage)
        status = asyncio.run(run.run())
    except* (BrokerFailed, DatabaseFailed) as failed:  # of a task of the run
        say("; ".join(_texts(failed)))
        status = 2
    finally:
        node.kill()
        node.stop()
        kept.close()
    if status:
        say(f"not clean: SEED={seed} STORE={store} repeats its plan; what is left of it lies in {FOLDER / folder.name}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def _texts(failed: BaseException) -> list[str]:
    """What failed, also inside groups."""
    if isinstance(failed, BaseExceptionGroup):
        return [text for each in failed.exceptions for text in _texts(each)]
    return [str(failed)]


def main() -> int:
    """Run once."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    store, sabotage = os.environ.get("STORE", "sqlite"), os.environ.get("SABOTAGE", "")
    if store not in REPLICAS:
        say(f"STORE={store}: there are sqlite and postgres")
        return 2
    if set(filter(None, sabotage.split(","))) - set(SABOTAGES):
        say(f"SABOTAGE={sabotage}: there are {', '.join(SABOTAGES)}")
        return 2
    try:
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(MOST_SEEDS))
        kills, events = int(os.environ.get("KILLS", KILLS)), int(os.environ.get("EVENTS", EVENTS))
        rate = float(os.environ.get("RATE", RATE))
    except ValueError as wrong:
        say(f"SEED, KILLS, EVENTS and RATE are numbers: {wrong}")
        return 2
    if not (0 < kills <= MOST_KILLS and 0 < events <= MOST_EVENTS and 0.0 < rate <= MOST_RATE):
        say(f"KILLS is 1 to {MOST_KILLS}, EVENTS 1 to {MOST_EVENTS}, RATE more than 0 and at most {MOST_RATE:g}")
        return 2
    try:
        return once(seed, store, kills, events, rate, sabotage)
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
