"""Where a process can be told to end itself still exists in the code."""

import subprocess
import sys


def test_the_fuse_can_be_laid() -> None:
    """Each boundary names a function that there is; in a process of its own, since it changes the classes."""
    program = "from tests.crash.crash_points import Fuse, lay; lay(Fuse('none', 1))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
