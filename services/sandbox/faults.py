"""Faults on demand: what goes wrong for which requests, how often and for how long. Pure, time is passed in.

| kind | what happens to a request that matches |
|---|---|
| `delay` | it is done and answered `delay_ms` later |
| `timeout_after` | it is done at once and answered `delay_ms` later, so that the caller has given up |
| `error` | 500, and nothing is done |
| `down` | 503, and nothing is done, as if nobody were there |
| `decline` | it is done, and the system says no (card declined, sold out, not taken) |
| `hang` | nothing is done, and 503 is answered `delay_ms` later, when the caller has given up |
| `lie` | it is done, and 500 is answered; the books hold what was done |
| `limit` | 429 with `Retry-After: retry_after`, and nothing is done; `per_second` requests of each second get through |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.domain import Api, Did, Target, Verdict

#: Most faults that may stand at once.
MAX_FAULTS = 10_000
#: Longest delay of an answer, in milliseconds.
MAX_DELAY_MS = 600_000
#: Longest time that a caller is told to stay away, in seconds.
MAX_RETRY_AFTER = 3600


class Kind(StrEnum):
    """What goes wrong."""

    DELAY = "delay"
    TIMEOUT_AFTER = "timeout_after"
    ERROR = "error"
    DOWN = "down"
    DECLINE = "decline"
    HANG = "hang"
    LIE = "lie"
    LIMIT = "limit"


#: What is answered where nothing is done.
REFUSED: Mapping[Kind, Verdict] = {
    Kind.ERROR: Verdict(500, Did.NONE, {"error": "internal error"}),
    Kind.DOWN: Verdict(503, Did.NONE, {"error": "down"}),
    Kind.HANG: Verdict(503, Did.NONE, {"error": "no answer came in time"}),
    Kind.LIMIT: Verdict(429, Did.NONE, {"error": "too many requests"}),
}
#: What is answered in place of the truth.
LIE = Verdict(500, Did.NONE, {"error": "internal error"})
#: Kinds whose answer comes after the deed, so that the books note both times.
LATE = frozenset({Kind.TIMEOUT_AFTER, Kind.HANG})


class NewFault(BaseModel):
    """A fault as it is posted: every field of `match` must equal the request's; without it all requests match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    kind: Kind
    api: Api | None = Field(default=None, description="one of the target's, cards/refunds; null: all of them")
    match: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=20)
    times: int | None = Field(default=None, ge=1, description="requests it befalls; null: no end")
    seconds: float | None = Field(default=None, gt=0, description="how long it stands; null: until it is removed")
    delay_ms: int = Field(default=3000, ge=0, le=MAX_DELAY_MS)
    retry_after: int = Field(default=2, ge=0, le=MAX_RETRY_AFTER, description="seconds that `limit` answers")
    per_second: int = Field(default=0, ge=0, description="requests of each second that `limit` lets through")


@dataclass(slots=True)
class Fault:
    """A fault that stands."""

    id: int
    new: NewFault
    until: float | None  # seconds since 1970
    left: int | None  # requests it will still befall
    second: int = 0  # the second since 1970 in which `through` requests got through a limit
    through: int = 0

    def matches(self, api: Api, request: Mapping[str, object]) -> bool:
        """Whether it befalls this request."""
        missing = object()
        return (
            self.new.target is api.target
            and self.new.api in {None, api}
            and all(request.get(name, missing) == value for name, value in self.new.match.items())
        )

    def lets_through(self, now: float) -> bool:
        """Whether a request is one of those that a limit allows in this second; it is counted."""
        if self.new.kind is not Kind.LIMIT:
            return False
        if self.second != int(now):
            self.second, self.through = int(now), 0
        self.through += 1
        return self.through <= self.new.per_second

    def shown(self) -> dict[str, object]:
        """As HTTP shows it."""
        return {**self.new.model_dump(mode="json"), "id": self.id, "until": self.until, "left": self.left}


class Faults:
    """The faults that stand, oldest first; they end with the process."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._last = 0

    def add(self, new: NewFault, now: float) -> Fault | None:
        """Let a fault stand from now on; None where `MAX_FAULTS` stand already."""
        self._expire(now)
        if len(self._faults) >= MAX_FAULTS:
            return None
        self._last += 1
        fault = Fault(self._last, new, now + new.seconds if new.seconds is not None else None, new.times)
        self._faults[fault.id] = fault
        return fault

    def remove(self, id: int) -> bool:
        """Remove one fault; tells whether it stood."""
        return self._faults.pop(id, None) is not None

    def remove_all(self, target: Target | None) -> int:
        """Remove the faults of one target (None: all) and tell how many stood."""
        gone = [id for id, fault in self._faults.items() if target in {None, fault.new.target}]
        for id in gone:
            del self._faults[id]
        return len(gone)

    def standing(self, now: float) -> list[Fault]:
        """The faults that stand, oldest first."""
        self._expire(now)
        return list(self._faults.values())

    def befall(self, api: Api, request: Mapping[str, object], now: float) -> NewFault | None:
        """The oldest fault that befalls this request, counted; None: all goes well."""
        self._expire(now)
        for fault in self._faults.values():
            if fault.matches(api, request) and not fault.lets_through(now):
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left == 0:
                        del self._faults[fault.id]
                return fault.new
        return None

    def _expire(self, now: float) -> None:
        for id in [id for id, each in self._faults.items() if each.until is not None and each.until <= now]:
            del self._faults[id]
