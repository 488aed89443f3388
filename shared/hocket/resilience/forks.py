"""What a forked child must not keep: the lock of the database, and the network connections of its parent's loop.

A pool of processes that is made by forking (the default of `ProcessPoolExecutor` on Linux before Python 3.14) inherits
every descriptor. Where the parent is killed, its children would hold the file locked and the port taken, and broker,
database and clients would take their connections for alive, with the transactions and deliveries that belong to them.
"""

import asyncio
import os
import socket
import stat
import weakref
from collections.abc import Iterator
from contextlib import suppress

_kept: set[int] = set()
_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def close_in_children(descriptor: int) -> None:
    """From now on a forked child closes this descriptor at once; the parent's stays open."""
    _kept.add(descriptor)


def closed(descriptor: int) -> None:
    """The parent has closed it: its number may soon be another's."""
    _kept.discard(descriptor)


def close_network_in_children(loop: asyncio.AbstractEventLoop) -> None:
    """From now on a forked child closes the network sockets of this loop, which it cannot use."""
    _loops.add(loop)


def _close_all() -> None:
    for descriptor in {*_kept, *(each for loop in list(_loops) for each in _network(loop))}:
        with suppress(OSError):
            os.close(descriptor)
    _kept.clear()
    _loops.clear()


def _network(loop: asyncio.AbstractEventLoop) -> Iterator[int]:
    """The descriptors of listening sockets and connections; a loop that does not show them has none here."""
    selector = getattr(loop, "_selector", None)
    listening = selector.get_map() if selector is not None else None
    for descriptor in {*getattr(loop, "_transports", ()), *(listening or ())}:
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _family(descriptor) in {socket.AF_INET, socket.AF_INET6}:
                yield descriptor


def _family(descriptor: int) -> int:
    looked_at = socket.socket(fileno=descriptor)
    try:
        return looked_at.family
    finally:
        looked_at.detach()


os.register_at_fork(after_in_child=_close_all)
