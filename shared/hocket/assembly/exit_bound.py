"""Ends the process where its stop takes too long, whatever a team's code does, and names what did not stop."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

#: Exit status of a process that had to be ended, or that a second signal ends at once.
STATUS = 1
#: Seconds that threads and the interpreter have to end once every service has stopped.
END_SECONDS = 5.0


class ExitBound:
    """Watches the end of the process from a thread of its own, because a handler may block the event loop.

    `still` names what the services know to be running.
    """

    def __init__(self, seconds: float, still: Callable[[], Iterable[str]]) -> None:
        self._seconds = seconds
        self._still = still
        self._until: float | None = None  # monotonic seconds
        self._nudge = threading.Event()  # the end came nearer

    @property
    def begun(self) -> bool:
        """Whether the stop has begun."""
        return self._until is not None

    def begin(self) -> None:
        """The stop begins: the process ends within the bound."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
            threading.Thread(target=self._watch, name="hocket-exit", daemon=True).start()

    def stopped(self) -> None:
        """Every service has stopped: what is left has `END_SECONDS`."""
        if self._until is not None:
            self._until = min(self._until, time.monotonic() + END_SECONDS)
            self._nudge.set()

    def _watch(self) -> None:
        while self._until is not None and (left := self._until - time.monotonic()) > 0:
            self._nudge.wait(left)
            self._nudge.clear()
        structlog.get_logger("hocket").error(
            "the process is ended: something did not stop", seconds=self._seconds, still=sorted(self._running())
        )
        sys.stderr.flush()
        os._exit(STATUS)

    def _running(self) -> set[str]:
        found = set(self._still())
        main = threading.main_thread()
        for each in threading.enumerate():
            if each is main or not each.daemon:
                found.add(f"thread {each.name} at {_place_of(each)}")
        return found


def _place_of(thread: threading.Thread) -> str:
    """The line where a thread is."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 -- the one way to see another thread's line
    if frame is None:
        return "its end"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
