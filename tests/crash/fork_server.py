"""`python -m tests.crash.fork_server SERVICES POINTS`: imports once, forks a process for every life it is told.

SERVICES is a module with the services by name (`CHAIN`) and perhaps what is done before a life (`before_life`), POINTS
one that lays the fuse (`lay`).

Standard input has one JSON object a line: `{"life", "service", "port", "fuse": [POINT, PASSES] or [], "log",
"environment"}`. Standard output answers `{"life", "pid"}` and, when that process has ended, `{"life", "status"}`
(negative: the signal). Every process ends when this one does, and this one when its standard input ends.
"""

import asyncio
import importlib
import json
import os
import random
import select
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

import hocket.broker.rabbitmq
import hocket.store.postgres.store  # noqa: F401 -- both are imported before the fork, not after each
from hocket import assembly
from hocket.cli.targets import settings
from tests.crash.crash_points import Fuse


def with_parent() -> None:
    """End this process as soon as its standard input does."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def run(order: Mapping[str, Any], services: Any, points: Any) -> None:
    """One life: the service, with a fuse where the plan says so, until it is killed or asked to stop."""
    os.environ.update(order["environment"])
    random.seed()
    with_parent()
    if order["fuse"]:
        point, passes = order["fuse"]
        points.lay(Fuse(point, passes))
    if hasattr(services, "before_life"):
        services.before_life()
    asyncio.run(assembly.run([(services.CHAIN[order["service"]], order["port"])], settings()))


def fork(order: Mapping[str, Any], alive: tuple[int, int], services: Any, points: Any) -> int:
    """Start one life; `alive` is a pipe whose writing end only this process keeps."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(alive[0], 0)
        os.close(alive[1])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        run(order, services, points)
        status = 0
    except BaseException as error:  # noqa: BLE001 -- nothing of a life may return into the launcher
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(**about: int) -> None:
    print(json.dumps(about), flush=True)


def main(modules: list[str]) -> None:
    """Serve until standard input ends."""
    services, points = (importlib.import_module(each) for each in modules)
    alive, ended = os.pipe(), os.pipe()
    for end in ended:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(ended[1])
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lives: dict[int, int] = {}
    orders = os.fdopen(0, "rb", buffering=0)
    sources: list[Any] = [orders, ended[0]]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if ended[0] in ready:
            os.read(ended[0], 4096)
        if orders in ready:
            if not (line := orders.readline()):
                return
            order = json.loads(line)
            pid = fork(order, alive, services, points)
            lives[pid] = order["life"]
            _say(life=order["life"], pid=pid)
        while lives:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            _say(life=lives.pop(pid), status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
