"""The attempts that failed during a `play`: kept, and added to the error of the test that fails."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener

#: Failed attempts that are kept, the last ones.
MAX_KEPT = 50


class Failed(NamedTuple):
    """One attempt that failed: `outcome` is `retry` or `dead`, `trace` the stack, "" where the handler rejected it."""

    subscription: str
    type: str
    subject: str
    attempt: int
    outcome: str
    cause: str
    error: str
    trace: str

    def __str__(self) -> str:
        about = f"{self.subscription} failed on {self.type} about {self.subject}, attempt {self.attempt}"
        head = f"{about} ({self.outcome}): {self.error or self.cause}"
        return f"{head}\n{self.trace}".rstrip()


@dataclass(slots=True)
class Failures(Listener):
    """Listens to attempts that failed."""

    found: deque[Failed] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Keep those that failed; one that was deferred did not."""
        for each in ended:
            if each.word in {Word.RETRY, Word.DEAD}:
                self.found.append(
                    Failed(
                        each.subscription, each.type, each.subject, each.attempt, each.word.value, each.cause,
                        each.error, each.trace,
                    )
                )  # fmt: skip

    def text(self) -> str:
        """All of them, one below the other."""
        return "\n".join(["attempts failed while this was played:", *map(str, self.found)])

    @contextmanager
    def told(self) -> Iterator[None]:
        """Add them to the error that leaves this block, as a note: pytest and Python print it below the error."""
        try:
            yield
        except Exception as error:
            if self.found and not any(self.text() in str(each) for each in (error, *getattr(error, "__notes__", ()))):
                error.add_note(self.text())
            raise
