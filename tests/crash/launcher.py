"""`python -m tests.crash.launcher SERVICE PORT [POINT PASSES]`: one service, with a fuse where the plan says so.

The process ends when its standard input does, so that none outlives the run.
"""

import asyncio
import os
import sys
import threading

from hocket import assembly
from hocket.cli.modules import settings
from tests.crash.boundaries import Fuse, lay
from tests.crash.services import CHAIN


def with_parent() -> None:
    """End with the process that started this one."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> None:
    """Run the service until it is killed, or asked to stop."""
    name, port, *fuse = arguments
    with_parent()
    if fuse:
        lay(Fuse(fuse[0], int(fuse[1])))
    asyncio.run(assembly.run([(CHAIN[name], int(port))], settings()))


if __name__ == "__main__":
    main(sys.argv[1:])
