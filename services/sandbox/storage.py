"""The books: every request, its key, what it did and what was answered."""

import json
from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    func,
    insert,
    or_,
    select,
    update,
)  # fmt: skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sandbox.domain import Api, Asked, Did, Entry, Slip, Target, Verdict, decide

tables = MetaData()
books = Table(
    "books",
    tables,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("target", String, nullable=False),
    Column("api", String, nullable=False),
    Column("key", String, nullable=False, index=True),
    Column("original", String, nullable=False, index=True),  # the key of the act that it is about
    Column("request", String, nullable=False),  # JSON
    Column("began", Float, nullable=False),  # seconds since 1970
    Column("ended", Float),
    Column("status", Integer, nullable=False),
    Column("did", String, nullable=False),
    Column("fault", String, nullable=False),
    Column("answer", String, nullable=False),  # JSON
    Index("books_target", "target", "id"),
)


async def book(db: AsyncConnection, slips: Sequence[Slip], ended: float) -> list[Entry]:
    """Write requests into the books in order and return their lines; what is undecided, the lines before it decide."""
    last = (await db.execute(select(func.max(books.c.id)))).scalar_one() or 0
    known = await _touching(db, [slip.asked for slip in slips if slip.verdict is None])
    lines: list[Entry] = []
    for id, slip in enumerate(slips, start=last + 1):
        verdict = slip.verdict or decide(id, slip.asked, _sharing(slip.asked, known))
        line = Entry(id, slip.asked, verdict, None if slip.late else ended)
        _file(line, known)
        lines.append(line)
    await db.execute(insert(books), [_row(line) for line in lines])
    return lines


async def answered(db: AsyncConnection, id: int, ended: float) -> None:
    """Write down when the answer of a delayed line was given."""
    await db.execute(update(books).where(books.c.id == id).values(ended=ended))


async def page(db: AsyncConnection, target: Target, after: int, limit: int, did: Did | None = None) -> list[Entry]:
    """At most `limit` lines of one system's books behind line `after`, in order; `did` keeps only such lines."""
    wanted = select(books).where(books.c.target == target.value, books.c.id > after)
    if did is not None:
        wanted = wanted.where(books.c.did == did.value)
    return [_entry(row) for row in await db.execute(wanted.order_by(books.c.id).limit(limit))]


async def _touching(db: AsyncConnection, asked: Sequence[Asked]) -> dict[str, list[Entry]]:
    """All lines that share a key with one of these requests, by key, in order."""
    wanted = sorted({key for each in asked for key in (each.key, each.original) if key})
    rows = await db.execute(
        select(books).where(or_(books.c.key.in_(wanted), books.c.original.in_(wanted))).order_by(books.c.id)
    )
    known: dict[str, list[Entry]] = {}
    for row in rows:
        _file(_entry(row), known)
    return known


def _file(line: Entry, known: dict[str, list[Entry]]) -> None:
    for key in {line.asked.key, line.asked.original} - {""}:
        known.setdefault(key, []).append(line)


def _sharing(asked: Asked, known: dict[str, list[Entry]]) -> list[Entry]:
    lines = {line.id: line for key in (asked.key, asked.original) if key for line in known.get(key, ())}
    return [lines[id] for id in sorted(lines)]


def _row(line: Entry) -> dict[str, object]:
    return {
        "id": line.id,
        "target": line.asked.api.target.value,
        "api": line.asked.api.value,
        "key": line.asked.key,
        "original": line.asked.original,
        "request": json.dumps(line.asked.request),
        "began": line.asked.began,
        "ended": line.ended,
        "status": line.verdict.status,
        "did": line.verdict.did.value,
        "fault": line.asked.fault,
        "answer": json.dumps(line.verdict.answer),
    }


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    asked = Asked(Api(row.api), row.key, json.loads(row.request), row.began, row.fault)
    return Entry(row.id, asked, Verdict(row.status, Did(row.did), json.loads(row.answer)), row.ended)
