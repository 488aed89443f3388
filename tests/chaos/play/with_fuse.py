"""`python -m tests.chaos.play.with_fuse POINT PASSES MODULE:PORT`: `hocket run` that ends itself at a boundary."""

import sys

from hocket import cli
from tests.crash.crash_points import Fuse, lay

if __name__ == "__main__":
    lay(Fuse(sys.argv[1], int(sys.argv[2])))
    sys.argv = ["hocket", "run", *sys.argv[3:]]
    cli.main()
