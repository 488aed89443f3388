"""What a forked child must not keep: the lock of the database, and the network connections of its parent's loop.

A pool of processes that is made by forking (the default of `ProcessPoolExecutor` on Linux before Python 3.14) inherits
every descriptor. Where the parent is killed, its children would hold the file locked and the port taken, and broker,
database and clients would take their connections for alive, with the transactions and deliveries that belong to them.

A child that is forked in a handler must not come back into the event loop: there it would run the tasks of its parent.
"""

import asyncio
import os
import socket
import stat
import weakref
from collections.abc import Iterator
from contextlib import suppress

#: The status with which a child ends that comes back into the event loop of its parent.
CAME_BACK = 70
_SENTENCE = (
    b"hocket: a child process that was forked in the event loop came back into it, and was ended: end it by "
    b"os._exit(), or start it by subprocess or multiprocessing\n"
)

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
    for loop in list(_loops):
        _end_before_next(loop)
    _kept.clear()
    _loops.clear()


def _end_before_next(loop: asyncio.AbstractEventLoop) -> None:
    """The first that this loop does, where it goes on in the child, is to end the child."""
    waiting = getattr(loop, "_ready", None)
    if waiting is None:
        loop.call_soon(_end)
    else:
        waiting.appendleft(asyncio.Handle(_end, (), loop))


def _end() -> None:
    os.write(2, _SENTENCE)
    os._exit(CAME_BACK)


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
