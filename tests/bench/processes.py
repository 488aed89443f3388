"""Starts measured processes and reads what they hand over."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from tests.bench.environment import Databases, Ground, family_cpu
from tests.bench.measured_process import Task

#: Longest life of one measured process, in seconds.
CHILD_SECONDS = 300.0


class ChildFailed(Exception):
    """A measured process ended without a result; the text is the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one system gave; CPU in microseconds an event, 0 where nobody looked."""

    values: dict[str, float]
    client_us: float = 0.0
    broker_us: float = 0.0
    database_us: float = 0.0


class Child:
    """One process: READY, go, RESULT; ended with the `with` block."""

    def __init__(
        self, module: str, command: str, task: Task, fds: Sequence[int] = (), seconds: float = CHILD_SECONDS
    ) -> None:
        """`seconds` bounds its life."""
        self.what = f"{module} {command}"
        words = [sys.executable, "-m", "tests.bench.measured_process", module, command, json.dumps(asdict(task))]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=fds,
        )
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()
        self._bound = threading.Timer(seconds, self.process.kill)
        self._bound.daemon = True
        self._bound.start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors = [*self._errors[-30:], line]

    def _until(self, word: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(word):
                return line[len(word) :].strip()
        self.process.wait()
        raise ChildFailed(f"{self.what} ended without {word}: {''.join(self._errors)}")

    def ready(self) -> Self:
        """Wait until it is prepared."""
        self._until("READY")
        return self

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it measured."""
        found: dict[str, Any] = json.loads(self._until("RESULT"))
        return found

    def cpu(self) -> float:
        """CPU seconds that it and its children have used so far."""
        return family_cpu(self.process.pid)

    def end(self) -> None:
        """End it at once, as a crash does."""
        self._bound.cancel()
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.end()


def measure(
    ground: Ground, module: str, command: str, task: Task, name: str, databases: Databases | None = None
) -> Run:
    """Events a second of one process, and what one event cost it, the broker and the database server."""

    def cpu() -> tuple[float, float]:
        return ground.broker_cpu(), databases.cpu() if databases else 0.0

    with Child(module, command, task) as child:
        child.ready()
        before = cpu()
        child.go()
        found = child.result()
        broker, database = (after - first for after, first in zip(cpu(), before, strict=True))
    count = found["count"]
    each = 1e6 / count
    return Run({name: count / found["wall"]}, found["cpu"] * each, broker * each, database * each)
