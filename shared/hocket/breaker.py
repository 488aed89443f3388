"""Breakers: a pure state machine around one outside dependency (RULES 6). Time is monotonic seconds, passed in.

```
            `after` failures in a row             period over, one probe goes out
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

#: Longest period a declaration may ask for.
MAX_OPEN = timedelta(days=1)


@dataclass(frozen=True)
class Breaker:
    """Guards one outside dependency, wherever this very object is named.

    It opens after `after` failures in a row of the kinds in `failures`, or calls slower than `slow`; after `open_for`
    one delivery at a time probes. `DeclarationError` where it cannot be meant.
    """

    name: str
    failures: tuple[type[Exception], ...] = field(kw_only=True)
    after: int = field(default=5, kw_only=True)
    open_for: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    slow: timedelta | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise DeclarationError(f"Breaker({self.name!r}): say a name, like Breaker('card-api', ...)")
        if not self.failures or not are_exceptions(self.failures):
            raise DeclarationError(
                f"Breaker({self.name!r}, failures={self.failures!r}): say a tuple of the exception classes that mean "
                "the outside is ill, like failures=(TimeoutError, ConnectionError)"
            )
        if any(issubclass(each, Control) for each in self.failures):
            raise DeclarationError(f"Breaker({self.name!r}): Reject and Defer are words of a handler, not failures")
        if not is_count(self.after):
            raise DeclarationError(f"Breaker({self.name!r}, after={self.after!r}): say a whole number from 1")
        if not is_span(self.open_for) or not timedelta(0) < self.open_for <= MAX_OPEN:
            raise DeclarationError(f"Breaker({self.name!r}, open_for={self.open_for!r}): say a timedelta up to a day")
        if self.slow is not None and (not is_span(self.slow) or self.slow == timedelta(0)):
            raise DeclarationError(f"Breaker({self.name!r}, slow={self.slow!r}): say a timedelta above 0, or leave it")

    def counts(self, error: BaseException) -> bool:
        """Whether this error means that the outside is ill."""
        return isinstance(error, self.failures)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
