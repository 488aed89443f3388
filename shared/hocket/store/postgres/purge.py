"""Removes old final rows from PostgreSQL: looks first, then deletes what is still final and old."""

import asyncpg

from hocket.store.postgres import sql
from hocket.store.postgres.ledger import sql as ledger_sql
from hocket.store.postgres.statements import rows_touched
from hocket.store.purge import Expired, PurgeCursor, ceiling, expired_of
from hocket.store.records import Before, Removed
from hocket.store.sql import OLD_INBOX, OLD_LEDGER


async def look(kit: asyncpg.Connection, cursor: PurgeCursor, before: Before, limit: int) -> Expired:
    """The next rows of each table, and which of them are old."""
    key, run = cursor
    seen = await kit.fetch(OLD_INBOX, key, ceiling(before), limit) if key is not None else []
    runs = await kit.fetch(OLD_LEDGER, run, limit) if run is not None else []
    return expired_of(cursor, seen, runs, before, limit)


async def remove(kit: asyncpg.Connection, found: Expired, before: Before) -> Removed:
    """Remove what is still final and old, empty what has nothing left to undo, rename what is found by its scope."""
    removed = 0
    if found.inbox:
        removed += rows_touched(await kit.execute(sql.PURGE_INBOX, found.inbox, before.inbox, before.dead))
    if found.ledger:
        removed += await kit.fetchval(ledger_sql.PURGE, found.ledger, before.ledger)
    if found.emptied:
        await kit.execute(ledger_sql.EMPTY, found.emptied, before.emptied)
    if not found.renamed:
        return Removed(removed)
    old, new = [each.run for each in found.renamed], [each.new for each in found.renamed]
    done = rows_touched(await kit.execute(ledger_sql.RENAME, old, new))
    return Removed(removed, done, await kit.fetchval(ledger_sql.TAKEN, old, new))
