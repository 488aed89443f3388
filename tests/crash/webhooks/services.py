"""What is pushed to and killed: ingress with four webhooks, and two subscribers that write each event into their books.

A book has no unique key, so that what is done twice stands there twice.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from hocket import Event, Heard, Retry, Service, Tx
from hocket.webhooks import GitHub, Push, Shopify, StandardWebhooks, Stripe
from tests.crash.webhooks.sabotage import spoil

#: Nothing may be given up for being killed often.
PATIENT = Retry(retries=499, first=timedelta(seconds=0.2), longest=timedelta(seconds=1))


class Settings(BaseSettings):
    """The secrets of the senders, and what is taken away from the service; "": nothing."""

    model_config = SettingsConfigDict(env_prefix="CRASH_HOOKS_", frozen=True)

    standard: SecretStr = Field(default=SecretStr(""), description="secrets of Standard Webhooks")
    stripe: SecretStr = Field(default=SecretStr(""), description="secrets of Stripe")
    shopify: SecretStr = Field(default=SecretStr(""), description="secrets of Shopify")
    github: SecretStr = Field(default=SecretStr(""), description="secrets of GitHub")
    sabotage: str = Field(default="", description="which promise is taken away")


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[None]:
    """Nothing is used; where a run is to turn red the service is spoilt before it serves."""
    spoil(settings.sabotage)
    yield


class Body(BaseModel):
    """What ingress reads of each body; a sender writes more."""

    number: str
    what: str
    quiet: bool = False


class PushTaken(Event, type="push.taken", subject="push/{number}"):
    """A delivery was taken."""

    number: str
    what: str


ingress = Service("ingress", owner="crash", settings=Settings, uses=uses)


def said(body: Body) -> PushTaken | None:
    """The same for each sender."""
    return None if body.quiet else PushTaken(number=body.number, what=body.what)


@ingress.webhook(StandardWebhooks(secrets="standard"))
def standard(body: Body, push: Push) -> PushTaken | None:
    """Standard Webhooks."""
    return said(body)


@ingress.webhook(Stripe(secrets="stripe"))
def stripe(body: Body, push: Push) -> PushTaken | None:
    """Stripe."""
    return said(body)


@ingress.webhook(Shopify(secrets="shopify"))
def shopify(body: Body, push: Push) -> PushTaken | None:
    """Shopify."""
    return said(body)


@ingress.webhook(GitHub(secrets="github"))
def github(body: Body, push: Push) -> PushTaken | None:
    """GitHub."""
    return said(body)


def book(metadata: MetaData) -> Table:
    """A book that counts."""
    return Table(
        "book",
        metadata,
        Column("n", Integer, primary_key=True, autoincrement=True),
        Column("number", String, nullable=False),
        Column("what", String, nullable=False),
    )


class Taken(Heard, type="push.taken"):
    """A delivery to write down."""

    number: str
    what: str


billing_tables, stock_tables = MetaData(), MetaData()
billing_book, stock_book = book(billing_tables), book(stock_tables)
billing = Service("billing", owner="crash", tables=billing_tables)
stock = Service("stock", owner="crash", tables=stock_tables)


@billing.handler(retry=PATIENT)
async def bill(event: Taken, tx: Tx) -> None:
    """Write it down."""
    await (await tx.db()).execute(insert(billing_book).values(number=event.number, what=event.what))


@stock.handler(retry=PATIENT)
async def count(event: Taken, tx: Tx) -> None:
    """Write it down."""
    await (await tx.db()).execute(insert(stock_book).values(number=event.number, what=event.what))


CHAIN = {each.name: each for each in (ingress, billing, stock)}
