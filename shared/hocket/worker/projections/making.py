"""Makes the tables of a generation, and fills them by `seed=` from those that serve (RULES 14.9)."""

from typing import Any

from sqlalchemy import insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.projections.tables import generation_table
from hocket.declarations.subscription import Projected, Subscription
from hocket.delivery.handle import Handling
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, begun_at, serving
from hocket.envelope.keys import GENERATION_MARK
from hocket.resilience.guard import BreakerGuard
from hocket.runtime import Runtime
from hocket.store.port import WriteTransaction
from hocket.store.records import InboxState
from hocket.store.schema import INBOX
from hocket.store.unit_of_work import UnitOfWork
from hocket.tx import AttemptInfo, Tx
from hocket.worker.projections.comparison import heard, of_generation, sibling_key
from hocket.worker.projections.history import refusal, start_of_log

#: Seconds that `seed=` may take: on SQLite nobody else writes meanwhile.
SEED_SECONDS = 600.0


async def make(runtime: Runtime, subscription: Subscription, handling: Handling) -> bool:
    """Make the tables of a generation where they are not made, in one transaction; whether it may be filled.

    Where the projection has `seed=` and another generation serves, the tables are filled from that, and all that it
    has handled counts as handled here.
    """
    projected = subscription.projected
    assert projected is not None
    log = await start_of_log(runtime)
    lease = SEED_SECONDS if projected.seed is not None else None
    async with runtime.store.transaction(lease) as tx:
        db = await tx.db()
        if db.dialect.name == "postgresql" and projected.seed is not None:  # one moment for the seed and the facts
            await db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        every = await rows.rows_of(db, projected.name)
        locked = await rows.rows_of(db, projected.name, only=projected.n)  # what serves goes on while a seed runs
        mine = [each for each in locked if each.n == projected.n]
        if not mine or not mine[0].live:
            return False
        if mine[0].made:
            return True
        old, now = serving(every), (await runtime.store.clock.time()).now
        why = "" if mine[0].forced else await refusal(runtime, subscription, old, log)
        if why:
            await rows.write(db, mine, [mine[0]._replace(note=why)], now)
            return False
        tables = [generation_table(each, projected.n) for each in projected.tables]
        for each in tables:
            await db.run_sync(each.create, checkfirst=True)
        if projected.seed is not None and old is not None and old.n != projected.n:
            await projected.seed(_seed(handling, tx, projected, old.n))
            await copy_facts(db, subscription, old)
        made = begun_at(mine[0], old, log, now)._replace(made=True, tables=tuple(each.fullname for each in tables))
        await rows.write(db, mine, [made._replace(note="")], now)
    return True


def _seed(handling: Handling, tx: WriteTransaction, projected: Projected, former: int) -> Tx[Any]:
    """What the function `seed=` gets, in this transaction."""
    about = AttemptInfo(b"", "", "", handling.runtime.clock.now(), projected=projected, former=former)
    guard = BreakerGuard(handling.breakers, handling.runtime.clock)
    return Tx(about, handling.use, UnitOfWork.within(tx), guard, handling.blocking)


async def copy_facts(db: AsyncConnection, to: Subscription, old: Generation) -> None:
    """What generation `old` has handled, of the types that `to` hears, counts as handled there."""
    queue = f"{to.service}.{old.projection}{GENERATION_MARK}{old.n}"
    others = [each for each in INBOX.c if each.name not in {"key", "subscription"}]
    asked = select(sibling_key(to.identity), literal(to.queue), *others).where(
        of_generation(queue), INBOX.c.state == str(InboxState.HANDLED), heard(INBOX, types_of(to))
    )
    await db.execute(insert(INBOX).from_select(["key", "subscription", *(each.name for each in others)], asked))


def types_of(subscription: Subscription) -> list[str]:
    """The types of events that a generation hears."""
    return sorted({type_ for type_, _ in subscription.bound})
