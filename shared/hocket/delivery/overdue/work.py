"""What a delivery is to a time-out: something that arms or answers, or its alarm (RULES 5.7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hocket.envelope.canonical_json import Json
from hocket.envelope.cloudevent import CONTENT_TYPE, Envelope, Received, canonical, read
from hocket.errors import Undecodable
from hocket.saga.overdue import TimerRow


@dataclass(slots=True)
class Slot:
    """One time-out of which this process has something in hand: its row as it is known, and how many hold it."""

    row: TimerRow | None = None
    held: int = 0


@dataclass(slots=True)
class TimerWork:
    """An arming or an answer: the kit's business alone."""

    run: bytes
    scope: str
    arms: bool
    answers: bool
    slot: Slot = field(default_factory=Slot)
    wrote: TimerRow | None = None  # as it was decided last
    fact: dict[str, object] | None = None  # for the receipt
    word: str = ""  # for the metrics: armed, met, mark or late


@dataclass(slots=True)
class Alarm:
    """The alarm of the `n`-th period: `armed` is the event that armed it, which its handler gets."""

    run: bytes
    n: int
    armed: Envelope
    fact: dict[str, object] = field(default_factory=dict)


def alarm_of(data: Mapping[str, Json], now: Callable[[], datetime]) -> tuple[Alarm, Received]:
    """What the data of an alarm says. Raises `Undecodable`."""
    run, n, armed = data.get("run"), data.get("n"), data.get("armed")
    if not isinstance(run, str) or not isinstance(n, int) or not isinstance(armed, dict):
        raise Undecodable("data", "is not that of an alarm")
    try:
        raw = bytes.fromhex(run)
    except ValueError:
        raise Undecodable("data", "names no time-out") from None
    received = read(canonical(armed, heard=True), CONTENT_TYPE, {}, now())
    return Alarm(raw, n, received.envelope, {"state": "fired", "n": n, "run": run}), received
