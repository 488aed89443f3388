"""Compares what two generations have handled: by inbox keys, whose rest is the same in both (RULES 14.2)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, LargeBinary, Table, cast, delete, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.ordering.option import SUFFIX
from hocket.envelope.keys import QUEUE_BYTES, TIME_BYTES, TYPE_BYTES, queue_tag, type_tag
from hocket.runtime import Runtime
from hocket.store.records import InboxState
from hocket.store.schema import INBOX
from hocket.store.tables.generations import FRESH_FACTS

#: Rows of the inbox that one look compares.
STEP_ROWS = 20_000
#: Facts that are missing and are named; the rest is counted with them.
MOST_NAMED = 3
#: Inbox states of what is not yet handled for good.
_OPEN = (str(InboxState.RETRY), str(InboxState.DEAD))


class Pair(NamedTuple):
    """What is compared: all that generation `old` has handled, of these types, `new` must have handled.

    Both by their identities: their queues may end in `.ordered`.
    """

    projection: str
    old: str
    new: str
    types: tuple[str, ...]


class Missing(NamedTuple):
    """What the newer generation lacks: how many, ids of the first events, how many of them are dead letters there."""

    many: int = 0
    ids: tuple[str, ...] = ()
    dead: int = 0

    def sentence(self) -> str:
        """Why it is not swapped in; "" where nothing is missing."""
        if not self.many:
            return ""
        named = ", ".join(self.ids)
        if self.dead:
            return (
                f"{self.dead} of {self.many} events that the one before has handled are dead letters in it (first "
                f"{named}): replay them at the desk, or let it serve without them by `hocket rebuild --swap-anyway`"
            )
        return f"it has {self.many} events still to handle that the one before has handled (first {named})"


async def compare(runtime: Runtime, pair: Pair) -> Missing:
    """Compare all of the inbox, in steps, without a lock."""
    found, cursor = Missing(), b""
    while True:
        async with runtime.store.read() as connection:
            upper = await _upper(connection, cursor)
            after = INBOX.c.key > cursor if upper is None else INBOX.c.key.between(cursor + b"\0", upper)
            found = _added(found, await _missing(connection, pair, after))
        if upper is None:
            return found
        cursor = upper


async def _upper(connection: AsyncConnection, cursor: bytes) -> bytes | None:
    asked = select(INBOX.c.key).where(INBOX.c.key > cursor).order_by(INBOX.c.key).offset(STEP_ROWS - 1).limit(1)
    found = (await connection.execute(asked)).scalar()
    return None if found is None else bytes(found)


async def _missing(connection: AsyncConnection, pair: Pair, within: ColumnElement[bool]) -> Missing:
    """Of the rows of the older generation in this part of the inbox."""
    new = INBOX.alias("newer")
    state = select(new.c.state).where(new.c.key == sibling_key(pair.new)).scalar_subquery()
    asked = select(INBOX.c.event_id, state.label("state")).where(
        within, of_generation(pair.old), INBOX.c.state == str(InboxState.HANDLED), heard(INBOX, pair.types),
        ~handled_by(INBOX, pair.new),
    )  # fmt: skip
    rows = (await connection.execute(asked)).all()
    dead = sum(row.state == str(InboxState.DEAD) for row in rows)
    rows = sorted(rows, key=lambda row: row.state != str(InboxState.DEAD))
    return Missing(len(rows), tuple(row.event_id for row in rows[:MOST_NAMED]), dead)


def _added(one: Missing, other: Missing) -> Missing:
    first, second = (other, one) if other.dead and not one.dead else (one, other)
    return Missing(one.many + other.many, (*first.ids, *second.ids)[:MOST_NAMED], one.dead + other.dead)


async def tidy_fresh(connection: AsyncConnection, pair: Pair) -> None:
    """Forget what was noted and the newer generation has handled too, or does not hear."""
    mine = FRESH_FACTS.c.projection == pair.projection
    await connection.execute(delete(FRESH_FACTS).where(mine, handled_by(FRESH_FACTS, pair.new)))
    await connection.execute(delete(FRESH_FACTS).where(mine, ~heard(FRESH_FACTS, pair.types)))


async def fresh_missing(connection: AsyncConnection, pair: Pair) -> int:
    """How many of what was noted the newer generation still lacks."""
    asked = select(func.count()).select_from(FRESH_FACTS).where(
        FRESH_FACTS.c.projection == pair.projection, heard(FRESH_FACTS, pair.types), ~handled_by(FRESH_FACTS, pair.new)
    )  # fmt: skip
    return int((await connection.execute(asked)).scalar_one())


def heard(table: Table, types: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a row is about one of these types."""
    part = func.substr(table.c.key, TIME_BYTES + QUEUE_BYTES + 1, TYPE_BYTES, type_=LargeBinary)
    return part.in_([type_tag(each) for each in types])


def handled_by(table: Table, queue: str) -> ColumnElement[bool]:
    """The condition that the generation with this queue has handled for good what a row of `table` is about."""
    new = INBOX.alias("sibling")
    return exists(select(literal(1)).where(new.c.key == sibling_key(queue, table.c.key), new.c.state.not_in(_OPEN)))


def of_generation(identity: str) -> ColumnElement[bool]:
    """The condition that a row of the inbox is this generation's, ordered or not."""
    return INBOX.c.subscription.in_([identity, f"{identity}{SUFFIX}"])


def sibling_key(queue: str, key: Any = INBOX.c.key) -> Any:
    """The inbox key that the same event has in the generation with this queue, as an expression."""
    lead = func.substr(key, 1, TIME_BYTES, type_=LargeBinary)
    rest = func.substr(key, TIME_BYTES + QUEUE_BYTES + 1, type_=LargeBinary)
    return cast(lead.op("||")(literal(queue_tag(queue), LargeBinary)).op("||")(rest), LargeBinary)
