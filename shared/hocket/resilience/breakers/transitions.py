"""How the row of a breaker changes: what is told to it, asked of it, and done to it by hand (RULES 6). Pure.

```
           failures            period over, a slot is asked for          enough verdicts: next step
  closed ------------> open --------------------------------> half-open ---------------+
     ^                  ^ ^                                      |  ^  |               |
     |                  | +------- failures of this step --------+  +--|---------------+
     |                  +--- hand: close --- held <--- hand: open      |
     +-------------------------------- last step ends well ------------+
```
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from hocket.breaker import MAX_OPEN, Breaker
from hocket.resilience.breakers.row import CLOSED, HALF, HELD, OPEN, BreakerRow, Sight, Slot, State

#: Of as many calls as the ramp's step allows, the share that must fail to open the breaker where it has no `rate`.
HALF_FAILED = 0.5
#: Periods after a close within which an opening doubles the period.
FLAPPING_PERIODS = 10
#: The part of a period that is left to chance, on top, so that replicas and breakers do not try in step.
CHANCE_PART = 0.1
#: Characters of a reason and of a person's name that are kept.
MAX_REASON = 500
MAX_BY = 100

Verdict = Literal["ok", "bad", "none"]


class Report(NamedTuple):
    """What one replica has seen since its last report; calls of another version than the row's count nothing."""

    version: int = 0
    calls: int = 0
    bad: int = 0
    streak: int = 0  # failures since the last success
    since_ok: float = math.inf  # seconds since its last success
    slots: tuple[tuple[str, Verdict], ...] = ()  # given back, and how their calls ended
    shut: float = 0.0  # seconds for which the outside has asked to be left alone
    error: str = ""  # the kind of the last failure, without its text

    def before(self, later: "Report") -> "Report":
        """This report, which could not be told, and what was seen after it."""
        if later.version not in {0, self.version}:
            return later._replace(slots=(*self.slots, *later.slots))
        streak = later.streak if later.calls > later.bad else self.streak + later.streak
        return Report(
            self.version, self.calls + later.calls, self.bad + later.bad, streak, self.since_ok,
            (*self.slots, *later.slots), max(self.shut, later.shut), later.error or self.error,
        )  # fmt: skip


def width_of(breaker: Breaker, step: int) -> int:
    """How many calls may be out at once in this step of the ramp: 1, 2, 4 and so on, at most `ramp`."""
    return min(1 << min(step, 30), breaker.ramp)


def told(sight: Sight, report: Report, breaker: Breaker, *, least: float, chance: float) -> BreakerRow:
    """The row after a report. `least` is the shortest period in seconds, `chance` a number from 0 to 1."""
    row, now = _put_right(sight), sight.now
    slots = _alive(row, now, sight.living)
    version, valid = row.version, report.version == row.version and bool(report.calls)
    for name, verdict in report.slots:
        slot = slots.pop(name, None)
        if slot is not None and slot.version == version and row.state == HALF:
            valid = True
            row = row._replace(ok=row.ok + (verdict == "ok"), bad=row.bad + (verdict == "bad"))
    if report.slots:
        row = row.with_slots(slots)
    if report.shut and (row.state == OPEN or (valid and row.state != HELD)):
        until = now + max(min(report.shut, MAX_OPEN.total_seconds()), least)
        if row.state == OPEN:
            return row if until <= row.until else row._replace(until=until, wait=until - now)
        why = _named("the outside asked to be left alone (Retry-After)", report)
        return _open(row, now, until - now, row.level, why)
    if row.state == HALF:
        return _stepped(row, now, report, breaker, least, chance)
    if row.state == CLOSED and report.calls and report.version == version:
        return _counted(row, now, report, breaker, least, chance)
    return row


def asked(sight: Sight, slot: str, bound: float, breaker: Breaker) -> BreakerRow:
    """The row after a replica asked for a slot for a call of at most `bound` seconds; granted where it has the slot.

    The id of the slot begins with its owner's boot id and a `/`. A replica gets at most its share, rounded up.
    """
    row, now = _put_right(sight), sight.now
    if row.state == CLOSED or Sight(row, now).remaining() > 0:
        return row
    if row.state != HALF:
        row = _turned(row, now, HALF, reason="the period is over")
    slots = _alive(row, now, sight.living)
    width, owner = width_of(breaker, row.step), _owner(slot)
    share = -(-width // max(len(sight.living), 1))
    mine = sum(_owner(each) == owner for each in slots)
    if len(slots) >= width or mine >= share:
        return sight.row
    return row.with_slots({**slots, slot: Slot(now + bound, row.version)})


def held(sight: Sight, seconds: float | None, reason: str, by: str, *, least: float) -> BreakerRow:
    """The row after a person opened the breaker: for ever where `seconds` is None, else for as long, then the ramp."""
    wait = 0.0 if seconds is None else max(min(seconds, MAX_OPEN.total_seconds() * 366), least)
    until = sight.now + wait if wait else 0.0
    return _turned(sight.row, sight.now, HELD, reason=reason, by=by)._replace(until=until, wait=wait)


def released(sight: Sight, reason: str, by: str, *, least: float, at_once: bool) -> BreakerRow:
    """The row after a person closed the breaker: to the ramp when all replicas know of it, or closed at once."""
    row, now = sight.row, sight.now
    if row.state == CLOSED:
        return row
    if at_once:
        return _turned(row, now, CLOSED, reason=reason, by=by)
    return _turned(row, now, OPEN, reason=reason, by=by)._replace(until=now + least, wait=least)


def _counted(row: BreakerRow, now: float, report: Report, breaker: Breaker, least: float, chance: float) -> BreakerRow:
    """A closed row with a report's calls in it; open where they are too many failures."""
    if now >= row.until:  # a new window
        window = breaker.window.total_seconds()
        row = row._replace(calls=0, bad=0, until=now + window, wait=window)
    # A success of before the last failure that was told, by whichever replica, says nothing about what came after it.
    streak = (0 if now - report.since_ok > row.failed_at else row.streak) + report.streak
    row = row._replace(calls=row.calls + report.calls, bad=row.bad + report.bad, streak=streak)
    if report.bad:
        row = row._replace(failed_at=now)
    why = ""
    if streak >= breaker.after:
        why = f"{streak} failures in a row"
    elif breaker.rate is not None and row.calls >= breaker.volume and row.bad >= breaker.rate * row.calls:
        why = f"{row.bad} of {row.calls} calls failed"
    if not why:
        return row
    soon = row.version > 0 and now - row.updated <= FLAPPING_PERIODS * _period(breaker, row.level)
    level = row.level + 1 if soon else 0
    return _open(row, now, _drawn(breaker, level, least, chance), level, _named(why, report))


def _stepped(row: BreakerRow, now: float, report: Report, breaker: Breaker, least: float, chance: float) -> BreakerRow:
    """A half-open row whose step may have ended by now."""
    width = width_of(breaker, row.step)
    too_many = max(1, math.ceil((breaker.rate or HALF_FAILED) * width))
    if row.bad >= too_many:
        why = _named(f"{row.bad} of {row.ok + row.bad} probes failed", report)
        return _open(row, now, _drawn(breaker, row.level, least, chance), row.level, why)
    if row.ok + row.bad < width:
        return row
    if width >= breaker.ramp:
        return _turned(row, now, CLOSED, reason="its probes ended well")._replace(streak=row.bad)
    return row._replace(version=row.version + 1, step=row.step + 1, ok=0, bad=0)


def _named(why: str, report: Report) -> str:
    """The reason with the kind of the failure that decided."""
    return f"{why}, the last by {report.error}" if report.error else why


def _open(row: BreakerRow, now: float, seconds: float, level: int, why: str) -> BreakerRow:
    return _turned(row, now, OPEN, reason=why)._replace(until=now + seconds, wait=seconds, level=level)


def _turned(row: BreakerRow, now: float, state: State, *, reason: str, by: str = "") -> BreakerRow:
    """The row in another state: who called before is of an earlier version."""
    return row._replace(
        state=state, version=row.version + 1, until=0.0, wait=0.0, step=0, ok=0, bad=0, calls=0, streak=0,
        reason=_kept(reason, MAX_REASON), by=_kept(by, MAX_BY), updated=now,
    )  # fmt: skip


def _kept(text: str, most: int) -> str:
    """As much of a text as is kept; what no database and no JSON takes, as a terminal's odd bytes, is replaced."""
    return text[:most].encode(errors="replace").decode().replace("\0", "\ufffd")


def _period(breaker: Breaker, level: int) -> float:
    return min(breaker.open_for.total_seconds() * 2.0 ** min(level, 60), breaker.longest.total_seconds())


def _drawn(breaker: Breaker, level: int, least: float, chance: float) -> float:
    return max(_period(breaker, level), least) * (1 + CHANCE_PART * chance)


def _put_right(sight: Sight) -> BreakerRow:
    """RULES 11.2: a period that is further away than it lasts was written by a clock that was ahead."""
    row = sight.row
    far = row.wait > 0 and row.until - row.wait > sight.now
    return row._replace(until=sight.now + row.wait) if far else row


def _alive(row: BreakerRow, now: float, living: Sequence[str]) -> dict[str, Slot]:
    """The slots whose owner lives and whose call is not over by its bound."""
    return {name: slot for name, slot in row.granted().items() if slot.until > now and _owner(name) in living}


def _owner(slot: str) -> str:
    return slot.rpartition("/")[0]
