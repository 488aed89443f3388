"""The memory of a long-lived process: flat, and not looked through again and again."""

import gc

#: From this size on glibc maps a block by itself and gives it back when it is freed. It is its first threshold.
MAPPED_BYTES = 128 * 1024
#: Objects that are made before the youngest are looked through for what is garbage; Python's own is 700.
YOUNG_OBJECTS = 10_000
#: glibc's name of that setting (malloc.h).
_M_MMAP_THRESHOLD = -3


def steady() -> bool:
    """Hold glibc's threshold where it begins; False where there is no glibc, and then nothing is changed.

    Left alone it rises with the first large block that is freed, above the 256 KiB that asyncio asks for at each read
    of a socket. From then on these lie in the heap, are cut to what has come, and leave holes: the process grows for
    hours though it holds no more than before.
    """
    import ctypes

    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES))
    except (AttributeError, OSError):
        return False


def settle() -> None:
    """Once all has started: what stands now stays, and no collection looks at it again.

    Modules, models and tables are most of what a service holds; each full collection would go through all of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
