"""`python -m deploy.broker`: a private RabbitMQ node to try hocket on, gone again after Ctrl-C."""

import signal
import tempfile
from pathlib import Path

from deploy.broker.node import RabbitNode


def main() -> None:
    """Start it, tell its address, wait for a signal."""
    asked = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    with tempfile.TemporaryDirectory(prefix="hocket-") as folder, RabbitNode(Path(folder)) as node:
        print(f"RabbitMQ listens: export HOCKET_BROKER_URL='{node.url()}'", flush=True)
        signal.sigwait(asked)


if __name__ == "__main__":
    main()
