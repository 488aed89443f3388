"""A bank whose step can be undone from every flow, and what its tests say to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from hocket import Event, Heard, Retry, Service, Tx

HASTY = Retry(retries=1, first=timedelta(seconds=1), longest=timedelta(seconds=1))
#: The flow of the purchase, and that in which somebody cancels it.
BOUGHT, DROPPED = "0198c5b8-0000-7000-8000-000000000001", "0198c5b8-0000-7000-8000-000000000002"


class Bought(Heard, type="shop.bought"):
    order: str


class Cancelled(Heard, type="shop.cancelled"):
    order: str


class Taken(Event, type="bank.taken", subject="order/{order}"):
    order: str


class GivenBack(Event, type="bank.given_back", subject="order/{order}"):
    order: str


@dataclass
class Bank:
    """What the handlers did."""

    takes: bool = True
    answers: bool = True
    hangs: bool = False  # the undo never ends
    slow: bool = False  # the step never ends
    taken: list[str] = field(default_factory=list)
    given: list[tuple[str, bool, str, str]] = field(default_factory=list)  # order, with a result, flow, the step's key


@asynccontextmanager
async def uses() -> AsyncIterator[Bank]:
    """Never used: each test gives its own."""
    yield Bank()


bank = Service("bank", owner="team-money", uses=uses)


@bank.handler(retry=HASTY)
async def take(bought: Bought, tx: Tx[Bank]) -> Taken | None:
    tx.use.taken.append(tx.idempotency_key)
    if tx.use.slow:
        await asyncio.Event().wait()
    return Taken(order=bought.order) if tx.use.takes else None


@bank.undo(take, Taken, by="order", across=True, retry=HASTY)
async def give_back(bought: Bought, did: Taken | None, why: Cancelled, tx: Tx[Bank]) -> GivenBack:
    tx.use.given.append((bought.order, did is not None, tx.correlation_id, tx.step_key))
    if tx.use.hangs:
        await asyncio.Event().wait()
    if not tx.use.answers:
        raise ConnectionError("the card system does not answer")
    return GivenBack(order=bought.order)
