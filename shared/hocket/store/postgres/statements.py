"""The statements of `sql.py` with their values: endings become arrays, one for each column, and rows become records."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from hocket.broker.topology import RECEIPTS
from hocket.saga.ledger import Kept
from hocket.store import row_codec as rows_of
from hocket.store.postgres import sql
from hocket.store.postgres.beside.write import write_beside
from hocket.store.postgres.subjects.write import write_about_subjects
from hocket.store.postgres.timers.write import write_timed
from hocket.store.records import Ending, InboxRow, InboxWrite, OutboxRow, Written, receipt_row

#: Number of arrays: inbox columns with position, attempt, replay, forced; outbox and ledger columns with position, the
#: latter with what is kept; claims of a step.
_ASKED, _SAID, _MOVED, _CLAIMED = 19, 18, 17, 3
#: Above every id: as a ceiling, no limit.
_NO_CEILING = 2**62
#: Nothing that is kept, where only the row is written.
_NOTHING = Kept()


async def write(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float
) -> list[Written]:
    """Write endings inside an open transaction (RULES 3.1); `boot` None: the rows have no owner until claimed.

    `now` dates the receipts' row in memory; the database dates what it stores.
    """
    if any(ending.beside for ending in endings):
        return await write_beside(connection, endings, boot, now, write)
    if any(ending.timers for ending in endings):
        return await write_timed(connection, endings, boot, now, write)
    if any(ending.about_subject for ending in endings):
        return await write_about_subjects(connection, endings, boot, now, write)
    if fits_one_statement(endings):
        return await write_in_one(connection, endings, boot, now)
    return await write_one_by_one(connection, endings, boot, now)


async def write_in_one(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float
) -> list[Written]:
    """Write endings in one statement: whole or not at all, also without a transaction around it.

    Only for endings that `fits_one_statement`.
    """
    if not endings:
        await connection.execute(sql.NOTHING)
        return []
    asked = [(at, ending.inbox) for at, ending in enumerate(endings) if ending.inbox is not None]
    free = [at for at, ending in enumerate(endings) if ending.inbox is None]
    return await _write(connection, endings, asked, free, boot, now)


async def write_apart(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float
) -> list[Written]:
    """Write endings that do not fit one statement in a transaction of their own."""
    async with connection.transaction():
        return await write(connection, endings, boot, now)


async def due(connection: asyncpg.Connection, boot: str, after: int | None, limit: int) -> list[OutboxRow]:
    """Own due rows behind `after`, and those that are claimed now; the latter below the last of the former."""
    rows = [] if after is None else outbox(await connection.fetch(sql.OWN, boot, after, limit))
    ceiling = rows[-1].id if len(rows) == limit else _NO_CEILING
    rows += outbox(await connection.fetch(sql.CLAIM, boot, ceiling, limit))
    return sorted(rows, key=lambda row: row.id)


async def plan(connection: asyncpg.Connection) -> None:
    """Let the server plan what every group needs: the longest takes it 15 ms, which the first events would wait for."""
    await _write(connection, [], [], [], None, 0.0)
    await connection.fetch(sql.LOOK, [])
    await connection.execute(sql.FORGET, [])


def fits_one_statement(endings: Sequence[Ending]) -> bool:
    """Whether one statement can write these: no inbox key and no step run comes twice, and nothing else is changed."""
    keys = [ending.inbox.row.key for ending in endings if ending.inbox is not None]
    runs = [row.run for ending in endings for row in ending.ledger]
    apart = any(ending.timers or ending.beside or ending.about_subject for ending in endings)
    return not apart and len(set(keys)) == len(keys) and len(set(runs)) == len(runs)


async def write_one_by_one(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float
) -> list[Written]:
    """Write endings where a key or a run comes twice, inside an open transaction: the first that can win wins."""
    if any(ending.ledger for ending in endings):
        return [one for ending in endings for one in await write_in_one(connection, [ending], boot, now)]
    keyed = sorted((ending.inbox.row.key, at) for at, ending in enumerate(endings) if ending.inbox is not None)
    won = {at for at, ending in enumerate(endings) if ending.inbox is None}
    taken: set[bytes] = set()
    for key, at in keyed:
        inbox = endings[at].inbox
        assert inbox is not None
        if key not in taken and await connection.fetchval(sql.WIN, *_asked([(at, inbox)]), []):
            taken.add(key)
            won.add(at)
    return await _write(connection, endings, [], sorted(won), boot, now)


async def _write(
    connection: asyncpg.Connection,
    endings: Sequence[Ending],
    asked: Sequence[tuple[int, InboxWrite]],
    free: list[int],
    boot: str | None,
    now: float,
) -> list[Written]:
    said = [
        (at, *rows_of.outbox_values(row, None if row.later else boot, row.moment)[1:])
        for at, ending in enumerate(endings)
        for row in ending.outbox
    ]
    told = [(at, ending.receipt) for at, ending in enumerate(endings) if ending.receipt]
    moved = _moved(endings)
    claimed = [(at, bytes.fromhex(inbox.run), inbox.owner) for at, inbox in asked if inbox.owner]
    values = [*_asked(asked), free, *_columns(said, _SAID), *_columns(told, 2), boot, RECEIPTS]
    if not moved and not claimed:
        answer = await connection.fetchrow(sql.WRITE, *values)
        assert answer is not None
        return _with_news(_answers(endings, set(answer["won"]), set(), list(answer["ids"]), now), answer["news"])
    values += [*_columns(moved, _MOVED), *_columns(claimed, _CLAIMED)]
    answer = await connection.fetchrow(sql.WRITE_LEDGER, *values)
    assert answer is not None
    written = _answers(endings, set(answer["won"]), set(answer["again"]), list(answer["ids"]), now)
    return _with_news(written, answer["news"])


def _with_news(written: list[Written], news: int) -> list[Written]:
    return [written[0]._replace(news=news), *written[1:]] if written else written


def _moved(endings: Sequence[Ending]) -> list[tuple[Any, ...]]:
    """The ledger rows with their positions, and what each keeps."""
    return [
        (
            at,
            *rows_of.ledger_values(row, row.kept, 0.0),
            row.keeps is not None,
            keeps.input,
            rows_of.text_of(keeps.results),
        )
        for at, ending in enumerate(endings)
        for row in ending.ledger
        for keeps in (row.keeps or _NOTHING,)
    ]


def _answers(endings: Sequence[Ending], won: set[int], again: set[int], ids: list[int], now: float) -> list[Written]:
    """Ids come in the order of the endings and their rows, the receipts' last."""
    given = iter(ids)
    written = [
        Written(True, tuple(row.stored(next(given)) for row in ending.outbox))
        if at in won
        else Written(False, again=at in again)
        for at, ending in enumerate(endings)
    ]
    receipts = [ending.receipt for at, ending in enumerate(endings) if at in won and ending.receipt]
    if receipts:
        first = min(won)
        row = receipt_row(receipts, now).stored(next(given))
        written[first] = Written(True, (*written[first].outbox, row))
    return written


def _asked(asked: Sequence[tuple[int, InboxWrite]]) -> list[list[Any]]:
    rows = [(*rows_of.inbox_values(inbox.row), at, inbox.run_attempt, inbox.replay, inbox.won) for at, inbox in asked]
    return _columns(rows, _ASKED)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def rows_touched(status: str) -> int:
    """How many rows a statement touched, from PostgreSQL's command status."""
    return int(status.rsplit(" ", 1)[-1])


def inbox(found: Iterable[Any]) -> dict[bytes, InboxRow]:
    """Inbox rows by their key."""
    return {values[0]: rows_of.inbox_row(tuple(values)) for values in found}


def outbox(found: Iterable[Any]) -> list[OutboxRow]:
    """Outbox rows."""
    return [rows_of.outbox_row(tuple(values)) for values in found]
