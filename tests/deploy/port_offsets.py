"""An offset for the ports of a whole shop, so that several of them stand beside each other."""

import random
import socket
from collections.abc import Collection

#: Offsets by a hundred, so that two shops share no port; below the ports that the system lends to whoever connects.
OFFSETS = range(10_000, 24_000, 100)


def free_offset(ports: Collection[int]) -> int:
    """An offset by which each of `ports` is free on loopback, also of what an ended connection left there."""
    for offset in random.sample(OFFSETS, len(OFFSETS)):
        if all(_free(port + offset) for port in ports):
            return offset
    raise AssertionError(f"no offset with {len(ports)} free ports among {len(OFFSETS)}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
