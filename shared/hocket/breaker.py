"""Breaker: the declaration of one outside dependency, and when calls to it are refused (RULES 6).

```
            `after` failures in a row             period over, one probe begins
  closed ----------------------------> open ----------------------------------> half-open
     ^                                  ^ |                                          |
     |                                  | +------ probe failed: a new period --------+
     |                                  +-------- probe abandoned: period over ------+
     +--------------------------------------------- probe succeeded -----------------+
```
"""

from dataclasses import dataclass, field
from datetime import timedelta

from hocket.errors import Control, DeclarationError
from hocket.retry import are_exceptions, is_count, is_span

#: Longest `open_for`.
MAX_OPEN = timedelta(days=1)


@dataclass(frozen=True)
class Breaker:
    """Guards one outside dependency. All handlers that name the same object share its state.

    It opens after `after` failures in a row; a failure is an error of the kinds in `failures`, or a call slower than
    `slow`. After `open_for`, one delivery at a time probes. Raises `DeclarationError` for invalid arguments.
    """

    name: str
    failures: tuple[type[Exception], ...] = field(kw_only=True)
    after: int = field(default=5, kw_only=True)
    open_for: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    slow: timedelta | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise DeclarationError(f"Breaker({self.name!r}): give a name, as in Breaker('card-api', ...)")
        if not self.failures or not are_exceptions(self.failures):
            raise DeclarationError(
                f"Breaker({self.name!r}, failures={self.failures!r}): give a tuple of exception classes that mean the "
                "dependency does not work, as in failures=(TimeoutError, ConnectionError)"
            )
        if any(issubclass(each, Control) for each in self.failures):
            raise DeclarationError(
                f"Breaker({self.name!r}): Reject and Defer are a handler's decisions, not failures; remove them from "
                "failures="
            )
        if not is_count(self.after):
            raise DeclarationError(f"Breaker({self.name!r}, after={self.after!r}): give a whole number of at least 1")
        if not is_span(self.open_for) or not timedelta(0) < self.open_for <= MAX_OPEN:
            raise DeclarationError(
                f"Breaker({self.name!r}, open_for={self.open_for!r}): give a timedelta above 0, up to a day"
            )
        if self.slow is not None and (not is_span(self.slow) or self.slow == timedelta(0)):
            raise DeclarationError(
                f"Breaker({self.name!r}, slow={self.slow!r}): give a timedelta above 0, or leave it out"
            )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
