"""The memory of a long-lived process."""

import platform
import subprocess
import sys

import pytest

#: Asks for a large block, which raises the threshold where nobody holds it, and tells how many blocks are mapped then.
MAPPED = """
import ctypes, sys
from hocket.assembly import process_memory
if sys.argv[1] == "fixed":
    assert process_memory.fix_mmap_threshold()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
class Info(ctypes.Structure):
    _fields_ = [("others", ctypes.c_size_t * 3), ("mapped", ctypes.c_size_t), ("more", ctypes.c_size_t * 6)]
libc.mallinfo2.restype = Info
libc.free(libc.malloc(1024 * 1024))
before = libc.mallinfo2().mapped
for _ in range(64):  # the first may still fit into what the imports have freed
    libc.malloc(256 * 1024)
print(min(libc.mallinfo2().mapped - before, 1))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc moves its threshold")
def test_a_read_of_a_socket_is_mapped_by_itself_for_ever() -> None:
    """Without it, the first large block that is freed puts all later reads into the heap."""
    found = {}
    for word in ("left alone", "fixed"):
        said = subprocess.run([sys.executable, "-c", MAPPED, word], capture_output=True, text=True, check=True)
        found[word] = int(said.stdout)
    assert found == {"left alone": 0, "fixed": 1}


def test_what_the_start_made_is_not_looked_at_again() -> None:
    """A full collection after it goes through what came since, and garbage is still found."""
    code = """
import gc, weakref
from hocket.assembly import process_memory
process_memory.freeze_objects()
assert gc.get_freeze_count() > 10_000
assert gc.get_threshold()[0] == process_memory.YOUNG_OBJECTS
class Ring: pass
ring = Ring()
ring.itself, gone = ring, weakref.ref(ring)
del ring
gc.collect()
assert gone() is None
"""
    subprocess.run([sys.executable, "-c", code], check=True)
