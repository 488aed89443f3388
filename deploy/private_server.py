"""Runs a private server until Ctrl-C or SIGTERM, its data in a folder that goes with it."""

import argparse
import signal
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

S = TypeVar("S")


def until_signal(
    program: str, about: str, server_in: Callable[[Path], AbstractContextManager[S]], sentence: Callable[[S], str]
) -> None:
    """Start it, print the sentence that tells its address, wait for a signal, end it.

    `program` takes no arguments: `--help` prints what it is `about`, any other is refused; both start nothing.
    """
    argparse.ArgumentParser(prog=program, description=about).parse_args()
    asked = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    with tempfile.TemporaryDirectory(prefix="hocket-") as folder, server_in(Path(folder)) as server:
        print(sentence(server), flush=True)
        signal.sigwait(asked)
