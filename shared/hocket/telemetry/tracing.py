"""What a tracing listener adds to the moments of `hocket.telemetry.signals`."""

from hocket.telemetry.signals import Listener


class Tracing(Listener):
    """A listener that traces, and has spans to send when the process stops."""

    def close(self) -> None:
        """Send what waits, within a bound, and stop. Blocks: call it in a thread."""
