"""An offset for the ports of a whole shop, so that several of them stand beside each other."""

import os
import random
import socket
from collections.abc import Collection

#: Offsets by a hundred, so that two shops share no port; below the ports that the system lends to whoever connects.
OFFSETS = range(10_000, 24_000, 100)
#: The number of this process among those of pytest-xdist, and how many there are: each takes offsets of its own.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_offset(ports: Collection[int]) -> int:
    """An offset by which each of `ports` is free on loopback, also of what an ended connection left there."""
    mine = OFFSETS[WORKER % WORKERS :: WORKERS]
    for offset in random.sample(mine, len(mine)):
        if all(_free(port + offset) for port in ports):
            return offset
    raise AssertionError(f"no offset with {len(ports)} free ports among {len(mine)}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
