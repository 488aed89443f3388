"""What the demo says while it runs: plain lines that a person and a CI log read alike."""

import time


class Told:
    """Says lines with the seconds since the start; keeps what did not go as it should."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.missed: list[str] = []

    def say(self, text: str) -> None:
        """One line."""
        print(f"[{time.monotonic() - self._began:5.0f} s] {text}", flush=True)

    def miss(self, text: str) -> None:
        """Something that the demo promises did not happen; it goes on, and ends badly."""
        self.missed.append(text)
        self.say(f"NOT AS IT SHOULD BE: {text}")


def plain(text: str = "") -> None:
    """A line without a time."""
    print(text, flush=True)
