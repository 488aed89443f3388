"""Writes endings that need more than inbox, outbox, ledger and time-outs, a whole group at once, in one transaction."""

import sqlite3
from collections.abc import Callable, Sequence

from hocket.store.records import Ending, Written
from hocket.store.sqlite.beside.ordered import OrderedGroup

Write = Callable[[sqlite3.Connection, Sequence[Ending], "str | None", float], list[Written]]
_LOST = Written(False)


def write_beside(
    connection: sqlite3.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction; `write` writes what else they hold, of those that have not lost yet."""
    ordered = OrderedGroup.of(connection, endings)
    lost = ordered.lost
    fit = [at for at in range(len(endings)) if at not in lost]
    plain = [endings[at]._replace(ordered=None, outbox=(*endings[at].outbox, *ordered.sends(at))) for at in fit]
    answers = dict(zip(fit, write(connection, plain, boot, now) if plain else [], strict=True))
    won = [at for at in fit if answers[at].won]
    ordered.change(connection, won, now)
    return [answers.get(at, _LOST) for at in range(len(endings))]
