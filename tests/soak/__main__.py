"""`python -m tests.soak`: the soak; what it is asked for stands in the environment.

| variable | meaning |
|---|---|
| `MINUTES` | how long it soaks (20) |
| `RATE` | sales a second, where half of the maximum is not to be found first |

The last lines say the figures and the commit; status 0 only where all of it held. Samples stay in
var/soak/samples.jsonl.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs
from deploy.database.server import DatabaseFailed
from tests.crash.databases import PostgresDatabases
from tests.soak.run import Soak

FOLDER = Path("var/soak")
MINUTES = 20.0
STOPPED_STATUS = 130


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def commit() -> str:
    """What ran, as git names it."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


async def soaked(soak: Soak) -> int:
    """Run it; SIGINT and SIGTERM end it and everything that it started."""
    running = asyncio.ensure_future(soak.run())
    for word in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(word, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        say("stopped")
        return STOPPED_STATUS


def main() -> int:
    """Soak once, in a folder that stays when it was not clean."""
    if find_programs() is None:
        say("no rabbitmq-server is installed here: apt-get install rabbitmq-server brings one")
        return 2
    minutes, rate = float(os.environ.get("MINUTES") or MINUTES), float(os.environ.get("RATE") or 0.0)
    ran = commit()
    folder = (FOLDER / "run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        databases, node = PostgresDatabases(folder), RabbitNode(folder / "broker")
        try:
            status = asyncio.run(soaked(Soak(minutes, rate, folder, FOLDER / "samples.jsonl", node, databases, say)))
        finally:
            node.kill()
            node.stop()
            databases.close()
    except (BrokerFailed, DatabaseFailed) as failed:
        say(str(failed))
        return 2
    if status == 0:
        shutil.rmtree(folder, ignore_errors=True)
    elif status != STOPPED_STATUS:
        say(f"not clean: what is left of it lies in {FOLDER / 'run'}")
    say(f"commit {ran}")
    return status


if __name__ == "__main__":
    sys.exit(main())
