"""Reads and writes the rows of commands, for both databases; each call is one small transaction unless it says else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.store.port import Store
from hocket.store.tables.commands import COMMANDS
from hocket.worker.commands.answers import Answer
from hocket.worker.commands.asked import Asked
from hocket.worker.commands.claim import BEGUN, ENDED, LEASE_SECONDS, Claim, CommandRow, claim_of

_NAMES = ", ".join(CommandRow._fields)
_VALUES = ", ".join(f":{name}" for name in CommandRow._fields)
_BEGIN = text(f"INSERT INTO hocket_commands ({_NAMES}) VALUES ({_VALUES}) ON CONFLICT (key) DO NOTHING").bindparams(  # noqa: S608 -- the names are the table's
    *(bindparam(name, type_=COMMANDS.c[name].type) for name in CommandRow._fields)
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command's handler: who it is in the row, its flow, and which run of this key it is, from 1."""

    asked: Asked
    owner: str
    flow: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a key: the row, None where there is none; `locked`: a commit is deciding on it right now."""

    row: CommandRow | None
    locked: bool = False


class CommandRows:
    """The rows of one service; `boot` is this process, which its runs are owned by."""

    def __init__(self, store: Store, boot: str) -> None:
        self._store = store
        self._boot = boot

    async def claim(self, asked: Asked, run: str, flow: str) -> Run | tuple[Claim, CommandRow | None]:
        """Begin a run, durably; else what the request may do by the row that is there. `run` is a new id."""
        owner = f"{self._boot} {run}"
        now = await self._now()
        row = CommandRow(
            asked.key, BEGUN, owner, asked.route, flow, asked.fingerprint, now + LEASE_SECONDS, 1, 0, "[]", b"", now
        )
        async with self._transaction() as db:
            if (await db.execute(_BEGIN, row._asdict())).rowcount == 1:
                return Run(asked, owner, flow, 1)
            found = await _look(db, asked.key)
            if found.row is None or found.locked:
                return Claim.WAIT, None
            now = await self._now()  # again: the row may be younger than the first look at the clock
            dead = not self._store.replicas and not found.row.owner.startswith(f"{self._boot} ")
            claim = claim_of(found.row, asked.fingerprint, now, dead=dead)
            if claim is not Claim.TAKE:
                return claim, found.row
            taken = Run(asked, owner, found.row.flow, found.row.attempt + 1)
            await db.execute(
                update(COMMANDS)
                .where(COMMANDS.c.key == asked.key)
                .values(owner=owner, until=now + LEASE_SECONDS, attempt=taken.attempt, updated=now)
            )
            return taken

    async def look(self, key: bytes) -> CommandRow | None:
        """The row of a key as it is committed."""
        async with self._store.read() as db:
            return _row((await db.execute(select(COMMANDS).where(COMMANDS.c.key == key))).one_or_none())

    async def renew(self, run: Run) -> bool:
        """Extend the lease of a run; False where the run is over, or another has taken its key."""
        now = await self._now()
        async with self._transaction() as db:
            return await _change(db, run, until=now + LEASE_SECONDS, updated=now)

    async def end(self, db: AsyncConnection, run: Run, answer: Answer) -> bool:
        """Write the answer, in the run's own transaction `db`; False where another run has taken the key."""
        return await _change(db, run, state=ENDED, **answer._asdict())

    async def release(self, run: Run) -> None:
        """Forget a run that has not ended: the key is as if it had never come."""
        async with self._transaction() as db:
            await _forget(db, run)

    async def settle(self, run: Run) -> Found:
        """What became of a run whose commit nobody answered; where it did not commit, its key is released.

        The commit holds the row until it is decided: while it does, the answer is `locked`.
        """
        async with self._transaction() as db:
            found = await _look(db, run.asked.key)
            if not found.locked:
                await _forget(db, run)
            return found

    async def _now(self) -> float:
        """The store's clock (RULES 11.1)."""
        return (await self._store.clock.time()).now

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._store.transaction() as tx:
            yield await tx.db()


async def purge_commands(store: Store, before: float, after: bytes, limit: int) -> tuple[int, bytes | None]:
    """Look at `limit` rows after this key and remove those older than `before`, in seconds since 1970.

    How many were removed, and the last key that was looked at, None at the end of the table (RULES 13.5).
    """
    async with store.read() as db:
        some = select(COMMANDS.c.key, COMMANDS.c.updated).where(COMMANDS.c.key > after).order_by(COMMANDS.c.key)
        seen = [(bytes(key), updated) for key, updated in await db.execute(some.limit(limit))]
    old = [key for key, updated in seen if updated < before]
    removed = 0
    if old:
        async with store.transaction() as tx:
            gone = delete(COMMANDS).where(COMMANDS.c.key.in_(old), COMMANDS.c.updated < before)
            removed = (await (await tx.db()).execute(gone)).rowcount
    return removed, seen[-1][0] if len(seen) == limit else None


async def _look(db: AsyncConnection, key: bytes) -> Found:
    """The row, locked for this transaction; where another holds it, nobody waits for that."""
    mine = select(COMMANDS).where(COMMANDS.c.key == key)
    row = _row((await db.execute(mine.with_for_update(skip_locked=True))).one_or_none())
    if row is not None:
        return Found(row)
    held = _row((await db.execute(mine)).one_or_none())
    return Found(held, locked=held is not None)


async def _change(db: AsyncConnection, run: Run, **values: object) -> bool:
    """Compare-and-set on the owner of a run that has not ended."""
    changed = await db.execute(update(COMMANDS).where(_mine(run)).values(**values))
    return changed.rowcount == 1


async def _forget(db: AsyncConnection, run: Run) -> None:
    await db.execute(delete(COMMANDS).where(_mine(run)))


def _mine(run: Run) -> ColumnElement[bool]:
    return and_(COMMANDS.c.key == run.asked.key, COMMANDS.c.owner == run.owner, COMMANDS.c.state == BEGUN)


def _row(found: Row[tuple[object, ...]] | None) -> CommandRow | None:
    if found is None:
        return None
    row = CommandRow(**found._mapping)
    return row._replace(key=bytes(row.key), fingerprint=bytes(row.fingerprint), body=bytes(row.body))
