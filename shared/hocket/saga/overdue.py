"""Time-outs (RULES 5.7): pure decisions about one row, without a store or a clock.

A arms, U answers, W is a watch (one event that arms and answers), T is the alarm that the service sends to itself.

```
            U first              A                     due             T, same n
 (no row) ---------> mark   (no row) -----> armed ------------> called ---------> fired
                      | A                    ^ | A: n + 1          | A: armed      | U: late, still fired
                      +--> met               +-+                   |               | W: armed
                                             | U                   | U
                                             +-------> met <-------+
```
"""

from dataclasses import dataclass, replace
from enum import StrEnum

#: Periods back from the present one in which what a time-out has said itself is recognized.
OWN_PERIODS = 16


class TimerState(StrEnum):
    """State of a time-out (RULES 5.7)."""

    MARK = "mark"  # answered before it was armed
    ARMED = "armed"
    CALLED = "called"  # due; its alarm is on the way to the service's own queue
    FIRED = "fired"
    MET = "met"


@dataclass(frozen=True, slots=True)
class TimerRow:
    """One time-out of a flow, a subscription and a scope. It is never written twice with one `version`."""

    run: bytes  # `envelope.keys.timer_key`
    correlation_id: str  # of the flow that armed or answered it last
    subscription: str  # `orders.cancel_unpaid`
    scope: str
    state: TimerState
    n: int = 0  # periods begun
    due: float = 0.0  # seconds since 1970, by the store's clock, which makes it when the row is armed
    wait: float = 0.0  # seconds from the arming until it is due
    armed_key: bytes = b""  # inbox key of what armed it
    input: bytes = b""  # while it is armed or called: the body of its alarm
    answer: bytes = b""  # what answered it: JSON
    version: int = 0  # one more at each write
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """What came: whether it arms or answers, under which inbox key, in which flow, and what said it."""

    key: bytes
    correlation_id: str
    arms: bool
    answers: bool
    causation_id: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """The row to write, None: none; whether it armed; whether it came too late; `own`: the time-out said it itself."""

    row: TimerRow | None
    armed: bool = False
    late: bool = False
    own: bool = False


def hear(row: TimerRow | None, word: Word, blank: TimerRow, *, wait: float, alarms: tuple[str, ...] = ()) -> Heard:
    """Decide what an arming or an answer does to the row (RULES 5.7 b, c, f).

    `blank` names the run of a row that is not there yet; `wait` is in seconds. `alarms` are the ids of the alarms of
    the last periods: what they caused is no answer. Of a row that is armed the caller sets `input`.
    """
    if word.arms:
        return _arm(row, word, blank, wait)
    if word.causation_id and word.causation_id in alarms:
        return Heard(None, own=True)
    return _answer(row, word, blank)


def _arm(row: TimerRow | None, word: Word, blank: TimerRow, wait: float) -> Heard:
    if row is None:
        return Heard(_armed(blank, word, wait), armed=True)
    match row.state:
        case TimerState.MARK:
            return Heard(replace(row, state=TimerState.MET, armed_key=word.key, version=row.version + 1))
        case TimerState.ARMED | TimerState.CALLED if row.armed_key != word.key:
            return Heard(_armed(row, word, wait), armed=True)
        case TimerState.MET | TimerState.FIRED if word.answers and row.armed_key != word.key:
            return Heard(_armed(row, word, wait), armed=True)
        case _:
            return Heard(None)


def _armed(row: TimerRow, word: Word, wait: float) -> TimerRow:
    return replace(
        row, correlation_id=word.correlation_id, state=TimerState.ARMED, n=row.n + 1, due=0.0, wait=wait,
        armed_key=word.key, answer=b"", version=row.version + 1,
    )  # fmt: skip


def _answer(row: TimerRow | None, word: Word, blank: TimerRow) -> Heard:
    if row is None:
        return Heard(replace(blank, correlation_id=word.correlation_id, state=TimerState.MARK, version=1))
    match row.state:
        case TimerState.ARMED | TimerState.CALLED:
            return Heard(replace(row, state=TimerState.MET, input=b"", version=row.version + 1))
        case TimerState.FIRED:
            return Heard(None if row.answer else replace(row, version=row.version + 1), late=True)
        case _:
            return Heard(None)


def call(row: TimerRow) -> TimerRow | None:
    """The row when its period is over: its alarm goes to the end of its queue, and decides nothing yet."""
    if row.state is not TimerState.ARMED:
        return None
    return replace(row, state=TimerState.CALLED, version=row.version + 1)


def fire(row: TimerRow | None, n: int) -> TimerRow | None:
    """The row after the alarm of period `n` was admitted; None: the alarm is void (RULES 5.7 d)."""
    if row is None or row.state is not TimerState.CALLED or row.n != n:
        return None
    return replace(row, state=TimerState.FIRED, input=b"", version=row.version + 1)


def periods(row: TimerRow | None) -> range:
    """The numbers of the periods whose alarms may have said something that comes home as an answer."""
    n = row.n if row else 0
    return range(max(1, n - OWN_PERIODS + 1), n + 1)
