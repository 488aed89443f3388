"""What a forked child must not keep: the lock of the database, the listening socket, the connections to the broker.

A pool of processes that is made by forking (the default of `ProcessPoolExecutor` on Linux before Python 3.14) inherits
every descriptor. Where the parent is killed, its children would hold the file locked, the port taken and the broker's
connection open.
"""

import os
from contextlib import suppress

_kept: set[int] = set()


def close_in_children(descriptor: int) -> None:
    """From now on a forked child closes this descriptor of the kit at once; the parent's stays open."""
    _kept.add(descriptor)


def closed(descriptor: int) -> None:
    """The parent has closed it: its number may soon be another's."""
    _kept.discard(descriptor)


def _close_all() -> None:
    for descriptor in _kept:
        with suppress(OSError):
            os.close(descriptor)
    _kept.clear()


os.register_at_fork(after_in_child=_close_all)
