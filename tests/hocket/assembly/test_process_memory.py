"""The memory of a long-lived process."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hocket.assembly import process_memory

#: Loads the module without its package, whose memory would be in the way;
#: asks for a large block, which raises the threshold where nobody holds it, and tells how many blocks are mapped then.
MAPPED = """
import ctypes, sys
sys.path.insert(0, sys.argv[2])
import process_memory
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
    folder = str(Path(process_memory.__file__).parent)
    found = {}
    for word in ("left alone", "fixed"):
        said = subprocess.run([sys.executable, "-c", MAPPED, word, folder], capture_output=True, text=True, check=True)
        found[word] = int(said.stdout)
    assert found == {"left alone": 0, "fixed": 1}


def test_what_the_start_made_is_not_looked_at_again() -> None:
    """The collector has only what came since, is not called for every few objects, and still finds garbage."""
    code = """
import gc, weakref
from hocket.assembly import process_memory
process_memory.freeze_objects()
assert len(gc.get_objects()) < 1000
looked = []
gc.callbacks.append(lambda phase, info: looked.append(phase))
kept = [[] for _ in range(5000)]
assert not looked
class Ring: pass
ring = Ring()
ring.itself, gone = ring, weakref.ref(ring)
del ring
gc.collect()
assert gone() is None
"""
    subprocess.run([sys.executable, "-c", code], check=True)
