"""`python -m deploy.database`: a private PostgreSQL server to try hocket on, gone again after Ctrl-C."""

import signal
import tempfile
from pathlib import Path

from deploy.database.server import PostgresServer


def main() -> None:
    """Start it, tell its address, wait for a signal."""
    asked = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    with tempfile.TemporaryDirectory(prefix="hocket-") as folder, PostgresServer(Path(folder)) as server:
        print(f"PostgreSQL listens: {server.url()}", flush=True)
        signal.sigwait(asked)


if __name__ == "__main__":
    main()
