"""`python -m tests.chaos`: the chaos run; what it is asked for stands in the environment.

| variable | meaning |
|---|---|
| `SEED` | repeats a run's plan; else chance picks one and says it |
| `STORE` | `sqlite` (default), or `postgres` with two replicas of each service |
| `MINUTES` | minutes of chaos (5); two minutes of peace follow |
| `RATE` | orders a second (2) |
| `SABOTAGE` | takes one promise away (`deploy/demo/sabotage.py`), to see that the books no longer balance |
| `STAY=1` | a red shop stays up until Ctrl-C, to be looked at in the tracer |
"""

import asyncio
import os
import random
import sys
from dataclasses import replace

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs
from deploy.demo.place import StepFailed
from deploy.demo.sabotage import SABOTAGES
from tests.chaos.plan import plan_of
from tests.chaos.play.site import site
from tests.chaos.run import Run
from tests.chaos.shop import TEAMS
from tests.crash.databases import PostgresDatabases
from tests.faked_clock import library

MINUTES, RATE = 5.0, 2.0
REPLICAS = {"sqlite": 1, "postgres": 2}
MOST_SEEDS = 1_000_000
#: Longest chaos, and most orders a second, that may be asked for.
MOST_SECONDS, MOST_RATE = 86_400.0, 100.0


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def once(seed: int, store: str, seconds: float, rate: float, *, stay: bool) -> int:
    """One run, in a folder of its own, which stays."""
    clocks = library() is not None
    if not clocks:
        say("libfaketime is not installed: no clock steps in this run; apt-get install faketime brings it")
    replicas = REPLICAS[store]
    place = site(f"{store}-{seed}", replicas)
    node = RabbitNode(place.folder / "broker")
    server = PostgresDatabases(place.folder, TEAMS) if store == "postgres" else None
    plan = plan_of(seed, seconds, replicas, clocks=clocks)
    say(f"SEED={seed} STORE={store}: {seconds:.0f} s of chaos, {len(plan.acts())} acts, {rate:g} orders a second")
    try:
        node.start()
        if server is not None:
            server.start()
            place = replace(place, database_url=server.url_template())
        sabotage = os.environ.get("SABOTAGE", "")
        return asyncio.run(Run(plan, place, node, rate, say, clocks=clocks, sabotage=sabotage).run(stay=stay))
    finally:
        node.kill()
        node.stop()
        if server is not None:
            server.close()


def main() -> int:
    """Run once."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    store = os.environ.get("STORE", "sqlite")
    if store not in REPLICAS:
        say(f"STORE={store}: there are sqlite and postgres")
        return 2
    if (sabotage := os.environ.get("SABOTAGE", "")) and sabotage not in SABOTAGES:
        say(f"SABOTAGE={sabotage}: there are {', '.join(SABOTAGES)}")
        return 2
    try:
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(MOST_SEEDS))
        seconds, rate = 60.0 * float(os.environ.get("MINUTES", MINUTES)), float(os.environ.get("RATE", RATE))
    except ValueError as wrong:
        say(f"SEED, MINUTES and RATE are numbers: {wrong}")
        return 2
    if not (0.0 < seconds <= MOST_SECONDS and 0.0 < rate <= MOST_RATE):
        say(f"MINUTES is more than 0 and at most {MOST_SECONDS / 60:g}, RATE more than 0 and at most {MOST_RATE:g}")
        return 2
    try:
        status = once(seed, store, seconds, rate, stay=os.environ.get("STAY") == "1")
    except (BrokerFailed, StepFailed) as failed:
        say(str(failed))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    if status:
        say(f"red: SEED={seed} STORE={store} repeats its plan")
    return status


if __name__ == "__main__":
    sys.exit(main())
