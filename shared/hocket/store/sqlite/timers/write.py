# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""Writes endings that change time-outs on SQLite: an ending whose row has another version by now has lost."""

import sqlite3
from collections.abc import Callable, Sequence

from hocket.saga.overdue import TimerRow, TimerState
from hocket.store.records import Ending, Written
from hocket.store.timers import TIMER_COLUMNS, TIMER_NAMES, timer_row, timer_values

#: Runs of one statement.
RUNS_AT_ONCE = 64
_VERSION = "SELECT version FROM hocket_timers WHERE run = ?"
_DUE = "SELECT due FROM hocket_timers WHERE run = ?"
_PUT = f"INSERT OR REPLACE INTO hocket_timers ({TIMER_COLUMNS}) VALUES ({', '.join('?' * len(TIMER_NAMES))})"
_LOOK = f"SELECT {TIMER_COLUMNS} FROM hocket_timers WHERE run IN ({{}})"

Write = Callable[[sqlite3.Connection, Sequence[Ending], "str | None", float], list[Written]]


def write_timed(
    connection: sqlite3.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction, some of which change time-outs; `write` writes what else they hold."""
    taken: set[bytes] = set()
    fit = [ending for ending in endings if _fits(connection, ending.timers, taken)]
    answers = iter(write(connection, [ending._replace(timers=()) for ending in fit], boot, now))
    left = iter(fit)
    following = next(left, None)
    written: list[Written] = []
    for ending in endings:
        if ending is not following:
            written.append(Written(False))
            continue
        following = next(left, None)
        written.append(answer := next(answers))
        if answer.won:
            for row in ending.timers:
                _put(connection, row, now)
    return written


def _fits(connection: sqlite3.Connection, rows: Sequence[TimerRow], taken: set[bytes]) -> bool:
    for row in rows:
        found = connection.execute(_VERSION, (row.run,)).fetchone()
        if row.run in taken or (found[0] if found else 0) != row.version - 1:
            return False
        taken.add(row.run)
    return True


def _put(connection: sqlite3.Connection, row: TimerRow, now: float) -> None:
    values = dict(zip(TIMER_NAMES, timer_values(row), strict=True))
    if row.state is TimerState.ARMED:
        values["due"] = now + row.wait
    elif found := connection.execute(_DUE, (row.run,)).fetchone():
        values["due"] = found[0]
    values["updated"] = now
    connection.execute(_PUT, list(values.values()))


def rows(connection: sqlite3.Connection, runs: Sequence[bytes]) -> dict[bytes, TimerRow]:
    """The rows that exist of these runs."""
    found: dict[bytes, TimerRow] = {}
    for start in range(0, len(runs), RUNS_AT_ONCE):
        some = runs[start : start + RUNS_AT_ONCE]
        for values in connection.execute(_LOOK.format(", ".join("?" * len(some))), some):
            found[values[0]] = timer_row(values)
    return found
