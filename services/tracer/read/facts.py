"""The facts of the log: what was said. Facts of the receipts stream: `hocket.console.facts`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Said:
    """One event of the log: who said what when, within which flow, because of what."""

    source: str
    id: str
    type: str
    version: int
    subject: str
    time: datetime
    flow: str
    cause: str = ""  # id of the event that was being handled
    data: str = field(default="{}", compare=False, repr=False)  # JSON

    @property
    def service(self) -> str:
        """The service that said it: its source without the slash."""
        return self.source.strip("/") or self.source

    @property
    def name(self) -> tuple[str, int]:
        """(type, version)."""
        return self.type, self.version


#: Seconds since 1970 of the last moment that is shown, a day before the year 10000.
_LAST = 253_402_214_400.0


def utc(seconds: float) -> datetime:
    """A moment from seconds since 1970, within the years that a date can have."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LAST), UTC)
