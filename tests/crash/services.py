"""The chain that is killed: till says a sale, bank charges a card outside, shelf takes the goods, till closes.

Every effect is a row without any unique key, so that one written twice stands there twice. A sale whose `refuse` is
true is refused by shelf, and bank gives the money back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
from aiohttp import web
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket import Breaker, Event, Heard, Retry, Scheduled, Service, Tx
from tests.crash import refused_commits

#: Nothing may be given up for being killed or refused often.
PATIENT = Retry(retries=499, first=timedelta(seconds=0.2), longest=timedelta(seconds=1))
#: How long after its end a sale is archived.
ARCHIVE_AFTER = timedelta(seconds=1)


class Settings(BaseSettings):
    """Where the world outside is, and how long one call may take."""

    model_config = SettingsConfigDict(env_prefix="CRASH_", frozen=True)

    outside_url: str = Field(default="http://127.0.0.1:1", description="address of the recording server")
    timeout_seconds: float = Field(default=3.0, gt=0, description="how long one call may take")


class Bank:
    """The bank outside; what fails may have happened."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def call(self, what: str, sale: str, key: str) -> None:
        """Do `what` for a sale, at most once a key."""
        body = {"what": what, "sale": sale}
        async with self._http.post(f"{self._url}/calls", json=body, headers={"Idempotency-Key": key}) as answer:
            answer.raise_for_status()


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Bank]:
    """The bank, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Bank(http, settings.outside_url)


def effects_table(metadata: MetaData) -> Table:
    """A table that counts: no key of its own forbids a second row."""
    return Table(
        "effects",
        metadata,
        Column("n", Integer, primary_key=True, autoincrement=True),
        Column("sale", String, nullable=False, index=True),
        Column("what", String, nullable=False),
    )


till_tables, bank_tables, shelf_tables = MetaData(), MetaData(), MetaData()
till_effects, bank_effects, shelf_effects = (effects_table(each) for each in (till_tables, bank_tables, shelf_tables))

shelf_files = refused_commits.add_tables(shelf_tables)


async def _note(db: AsyncConnection, table: Table, sale: str, what: str) -> None:
    await db.execute(insert(table).values(sale=sale, what=what))


# -- till: says sales, closes them -------------------------------------------------------------------------------------

till = Service("till", owner="crash", tables=till_tables)


class SaleRung(Event, type="sale.rung", subject="sale/{sale}"):
    """A sale was rung up."""

    sale: str
    refuse: bool


class SaleArchived(Event, type="sale.archived", subject="sale/{sale}"):
    """A closed sale was put away, a while later."""

    sale: str


class TillTaken(Heard, type="stock.taken"):
    """The goods are gone: the sale is done."""

    sale: str


class TillRefused(Heard, type="stock.refused"):
    """There were no goods: the sale is done too."""

    sale: str


till.says(SaleRung)


async def ring(request: web.Request) -> web.Response:
    """`POST /sales/{sale}`: 202 as soon as it is committed, the same for the same sale again."""
    sale, refuse = request.match_info["sale"], request.query.get("refuse") == "1"
    async with till.tx(key=sale) as tx:
        if not tx.seen:
            await _note(await tx.db(), till_effects, sale, "rung")
            tx.say(SaleRung(sale=sale, refuse=refuse))
    return web.json_response({"sale": sale}, status=202)


async def count(_: web.Request) -> web.Response:
    """`GET /count`: how many sales were rung and closed."""
    async with till.tx() as tx:
        by_what = select(till_effects.c.what, func.count()).group_by(till_effects.c.what)
        found = {row[0]: row[1] for row in (await (await tx.read()).execute(by_what)).all()}
    return web.json_response({"rung": found.get("rung", 0), "closed": found.get("closed", 0)})


@till.http
def mount(app: web.Application) -> None:
    """Put the routes on the till's port."""
    app.router.add_post("/sales/{sale}", ring)
    app.router.add_get("/count", count)


@till.handler(retry=PATIENT)
async def close(event: TillTaken | TillRefused, tx: Tx) -> Scheduled[SaleArchived]:
    """Close the sale; archive it a while later."""
    await _note(await tx.db(), till_effects, event.sale, "closed")
    return Scheduled(SaleArchived(sale=event.sale), after=ARCHIVE_AFTER, key=event.sale)


# -- bank: a step with an outside call and an effect, and its undo -----------------------------------------------------

outside = Breaker("outside", failures=(aiohttp.ClientError, TimeoutError), after=8, open_for=timedelta(seconds=1))
bank = Service("bank", owner="crash", settings=Settings, uses=uses, tables=bank_tables)


class BankRung(Heard, type="sale.rung"):
    """A sale to charge."""

    sale: str
    refuse: bool


class BankRefused(Heard, type="stock.refused"):
    """The money goes back."""

    sale: str


class CardCharged(Event, type="card.charged", subject="sale/{sale}"):
    """The card of a sale was charged."""

    sale: str
    refuse: bool


class CardRefunded(Event, type="card.refunded", subject="sale/{sale}"):
    """The charge was given back."""

    sale: str


@bank.handler(retry=PATIENT, breaker=outside)
async def charge(event: BankRung, tx: Tx[Bank]) -> CardCharged:
    """Charge outside, then write it down."""
    async with tx.outside(outside) as key:
        await tx.use.call("charge", event.sale, key)
    await _note(await tx.db(), bank_effects, event.sale, "charged")
    return CardCharged(sale=event.sale, refuse=event.refuse)


@bank.undo(charge, CardCharged, by="sale", retry=PATIENT, breaker=outside)
async def refund(event: BankRung, charged: CardCharged | None, why: BankRefused, tx: Tx[Bank]) -> CardRefunded:
    """Give the money back outside, then write it down."""
    async with tx.outside(outside) as key:
        await tx.use.call("refund", event.sale, key)
    await _note(await tx.db(), bank_effects, event.sale, "refunded")
    return CardRefunded(sale=event.sale)


# -- shelf: a handler with an effect, and one without ------------------------------------------------------------------

shelf = Service("shelf", owner="crash", tables=shelf_tables)


class ShelfCharged(Heard, type="card.charged"):
    """A paid sale whose goods are wanted."""

    sale: str
    refuse: bool


class StockTaken(Event, type="stock.taken", subject="sale/{sale}"):
    """The goods were taken."""

    sale: str


class StockRefused(Event, type="stock.refused", subject="sale/{sale}"):
    """There are no goods."""

    sale: str


class StockAudited(Event, type="stock.audited", subject="sale/{sale}"):
    """A paid sale was counted."""

    sale: str


@shelf.handler(retry=PATIENT)
async def take(event: ShelfCharged, tx: Tx) -> StockTaken | StockRefused:
    """Take the goods, or say that there are none."""
    await _note(await tx.db(), shelf_effects, event.sale, "refused" if event.refuse else "taken")
    return StockRefused(sale=event.sale) if event.refuse else StockTaken(sale=event.sale)


@shelf.handler(retry=PATIENT)
async def audit(event: ShelfCharged, tx: Tx) -> StockAudited:
    """Say that it was counted; writes nothing itself, so it shares its commit with its neighbours."""
    return StockAudited(sale=event.sale)


# Its own word on each delivery: where only those were left that fail alike, the subscription would pause (RULES 6.11).
@shelf.handler(retry=Retry(never=(IntegrityError,)))
async def file(event: ShelfCharged, tx: Tx) -> None:
    """Of the sales that are chosen for it, write an effect and a row that the commit refuses; of others nothing."""
    if refused_commits.here(event.sale):
        db = await tx.db()
        await _note(db, shelf_effects, event.sale, "filed")
        await refused_commits.file_without_folder(db, shelf_files, event.sale)


CHAIN = {each.name: each for each in (till, bank, shelf)}
