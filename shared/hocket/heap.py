"""Keeps the memory of a long-lived process flat."""

#: From this size on glibc maps a block by itself and gives it back when it is freed. It is its first threshold.
MAPPED_BYTES = 128 * 1024
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
