"""Writes endings that need more than inbox, outbox, ledger and time-outs, a whole group at once, in one transaction.

Order of locks: tokens by subscription, lines by subscription and subject, then what `write` takes.
"""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from hocket.store.postgres.beside.ordered import OrderedGroup
from hocket.store.records import Ending, Written

Write = Callable[[asyncpg.Connection, Sequence[Ending], "str | None", float], Awaitable[list[Written]]]
_LOST = Written(False)


async def write_beside(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction; `write` writes what else they hold, of those that have not lost yet."""
    ordered = await OrderedGroup.of(connection, endings)
    lost = ordered.lost
    fit = [at for at in range(len(endings)) if at not in lost]
    plain = [endings[at]._replace(ordered=None, outbox=(*endings[at].outbox, *ordered.sends(at))) for at in fit]
    answers = dict(zip(fit, await write(connection, plain, boot, now) if plain else [], strict=True))
    won = [at for at in fit if answers[at].won]
    await ordered.change(connection, won)
    return [answers.get(at, _LOST) for at in range(len(endings))]
