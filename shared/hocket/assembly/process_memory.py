"""Keeps the memory of a long-lived process flat, and its garbage collections short."""

import gc

#: glibc maps a block of at least this size separately and returns it when it is freed. This is its initial threshold.
MAPPED_BYTES = 128 * 1024
#: New objects after which the youngest generation is collected; Python's default is 700.
YOUNG_OBJECTS = 10_000
#: glibc's number of that setting (malloc.h).
_M_MMAP_THRESHOLD = -3


def fix_mmap_threshold() -> bool:
    """Fix glibc's threshold at its initial value; False where there is no glibc, and then nothing is changed.

    By default the threshold rises when a large block is freed, above the 256 KiB that asyncio allocates for each read
    of a socket. These blocks are then allocated in the heap, shrunk to the bytes read, and fragment it: the process
    grows for hours although it holds no more than before.
    """
    import ctypes

    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES))
    except (AttributeError, OSError):
        return False


def freeze_objects() -> None:
    """Exclude the objects that exist now from garbage collection; call it once all services have started.

    Modules, models and tables are most of a service's objects, and each full collection would visit all of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
