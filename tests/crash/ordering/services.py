"""The services that are killed: teller says what happens to accounts, clerk handles it in order, in three ways.

Every effect is a row without any unique key. Each handler calls the outside before it writes or fails, so that the
outside's book has the order in which it began each event.
"""

import os
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
from aiohttp import web
from sqlalchemy import MetaData, func, insert, select

from hocket import Breaker, Event, Heard, Retry, Service, Tx
from tests.crash.services import Settings, effects_table

#: Share of the attempts that fail after their call.
FAILING = 0.15
#: One event in so many is poison to `hold` and to `leave`: there it dies at once.
POISON_EVERY = 12


class Poison(Exception):
    """This event cannot be handled, until a person has mended what it needs."""


#: Nothing else may be given up for being killed or refused often.
STRICT = Retry(retries=499, first=timedelta(seconds=0.2), longest=timedelta(seconds=1), never=(Poison,))


def is_poison(sale: str, what: str) -> bool:
    """Whether `hold` or `leave` cannot handle it; by its name alone, so that the judge knows it too."""
    return what != "keep" and zlib.crc32(f"{what} {sale}".encode()) % POISON_EVERY == 0


class Outside:
    """The world outside, which keeps a book of calls; what fails may have happened."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def call(self, what: str, sale: str, key: str) -> bool:
        """Do `what`; whether a person has mended it there."""
        body = {"what": what, "sale": sale}
        async with self._http.post(f"{self._url}/calls", json=body, headers={"Idempotency-Key": key}) as answer:
            answer.raise_for_status()
            return bool((await answer.json())["mended"])


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Outside]:
    """The outside, for as long as the service runs."""
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Outside(http, settings.outside_url)


teller_tables, clerk_tables = MetaData(), MetaData()
teller_effects, clerk_effects = effects_table(teller_tables), effects_table(clerk_tables)

# -- teller: says, one after the other of each account -----------------------------------------------------------------

teller = Service("teller", owner="crash", tables=teller_tables)


class Booked(Event, type="account.booked", subject="account/{account}"):
    """Something happened to an account; `sale` is the account and a number that grows by one."""

    account: str
    sale: str


teller.says(Booked)


async def book(request: web.Request) -> web.Response:
    """`POST /booked/{account}/{sale}`: 202 as soon as it is committed, the same for the same again."""
    account, sale = request.match_info["account"], request.match_info["sale"]
    async with teller.tx(key=sale) as tx:
        if not tx.seen:
            await (await tx.db()).execute(insert(teller_effects).values(sale=sale, what="booked"))
            tx.say(Booked(account=account, sale=sale))
    return web.json_response({"sale": sale}, status=202)


@teller.http
def say_over_http(app: web.Application) -> None:
    """Put the route on the teller's port."""
    app.router.add_post("/booked/{account}/{sale}", book)


# -- clerk: in order; one handler keeps all, one is held up by the dead, one leaves them behind ------------------------

outside = Breaker("books", failures=(aiohttp.ClientError, TimeoutError), after=8, open_for=timedelta(seconds=1))
clerk = Service("clerk", owner="crash", settings=Settings, uses=uses, tables=clerk_tables)


class ClerkBooked(Heard, type="account.booked"):
    """What happened to an account."""

    account: str
    sale: str


class Kept(Event, type="account.kept", subject="account/{account}"):
    """It was handled by `keep`."""

    account: str
    sale: str


async def _do(event: ClerkBooked, tx: Tx[Outside], what: str) -> None:
    async with tx.outside(outside) as key:
        mended = await tx.use.call(what, event.sale, key)
    if not mended and is_poison(event.sale, what):
        raise Poison(event.sale)
    if random.random() < FAILING:
        raise RuntimeError(f"{what} failed by chance")


@clerk.handler(ordered=True, retry=STRICT, breaker=outside)
async def keep(event: ClerkBooked, tx: Tx[Outside]) -> Kept:
    """Writes nothing itself, so it shares its commit with its neighbours."""
    await _do(event, tx, "keep")
    return Kept(account=event.account, sale=event.sale)


@clerk.handler(ordered=True, retry=STRICT, breaker=outside)
async def hold(event: ClerkBooked, tx: Tx[Outside]) -> None:
    """What is poison blocks its account until a person mends the outside and replays it."""
    await _do(event, tx, "hold")
    await (await tx.db()).execute(insert(clerk_effects).values(sale=event.sale, what="hold"))


@clerk.handler(ordered="skip", retry=STRICT, breaker=outside)
async def leave(event: ClerkBooked, tx: Tx[Outside]) -> None:
    """What is poison is left behind."""
    await _do(event, tx, "leave")
    await (await tx.db()).execute(insert(clerk_effects).values(sale=event.sale, what="leave"))


async def count(_: web.Request) -> web.Response:
    """`GET /count`: how many effects there are, by handler."""
    async with clerk.tx() as tx:
        by_what = select(clerk_effects.c.what, func.count()).group_by(clerk_effects.c.what)
        return web.json_response({row[0]: row[1] for row in (await (await tx.read()).execute(by_what)).all()})


@clerk.http
def count_over_http(app: web.Application) -> None:
    """Put the route on the clerk's port."""
    app.router.add_get("/count", count)


CHAIN = {each.name: each for each in (teller, clerk)}
#: The queues that are judged, by handler.
QUEUES = {what: f"clerk.{what}.ordered" for what in ("keep", "hold", "leave")}
#: The variable that takes one promise away from clerk, and what it may be.
SABOTAGE = "CRASH_SABOTAGE"
SABOTAGES = ("line", "release")


def before_life() -> None:
    """For the proof that the verdict can be red: a head that fails makes no line, or leaves nobody behind it."""
    from hocket.delivery.ordering import ending
    from hocket.store.records import LineChange

    without = {"line": LineChange.HOLD, "release": LineChange.RELEASE, "": None}[os.environ.get(SABOTAGE, "")]
    change_of = ending.change_of

    def spoilt(*about: object) -> LineChange:
        change = change_of(*about)  # type: ignore[arg-type]  # whatever it takes
        return LineChange.NONE if change is without else change

    ending.change_of = spoilt  # type: ignore[assignment]
