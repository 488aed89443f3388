"""`python -m hocket.cli`, the same as `hocket`."""

from hocket.cli import main

main()
