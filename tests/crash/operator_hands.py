"""An operator deletes what belongs to running services: exchanges, bindings, empty queues (RULES 4.8)."""

import asyncio
import random
from dataclasses import dataclass
from enum import StrEnum

import aio_pika

from hocket.broker.topology import DEAD, EVENTS, HEARD, RECEIPTS, UNHEARD

#: Longest one act may take, in seconds; the broker may be away.
ACT_SECONDS = 10.0


class Kind(StrEnum):
    """What is deleted."""

    EXCHANGE = "exchange"
    BINDING = "binding"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Deletion:
    """One object; a binding is from `name` to the queue `to` by `key`, or to `hocket.heard` where `to` is that."""

    kind: Kind
    name: str
    to: str = ""
    key: str = ""


_HEARS = (
    ("till.close", "stock.taken.v1"),
    ("till.close", "stock.refused.v1"),
    ("bank.charge", "sale.rung.v1"),
    ("bank.refund", "stock.refused.v1"),
    ("shelf.take", "card.charged.v1"),
    ("shelf.audit", "card.charged.v1"),
)
#: Queues to which nobody addresses anything but events: what a service has addressed to itself is nowhere else.
_HEAR_ONLY = ("till.close", "shelf.take", "shelf.audit")

DELETIONS = (
    *(Deletion(Kind.EXCHANGE, each) for each in (HEARD, EVENTS, UNHEARD, RECEIPTS, DEAD, "till", "bank", "shelf")),
    *(Deletion(Kind.BINDING, HEARD, queue, key) for queue, key in _HEARS),
    Deletion(Kind.BINDING, EVENTS, HEARD, "#"),
    Deletion(Kind.BINDING, "bank", "bank.charge", "bank.charge"),
    *(Deletion(Kind.QUEUE, each) for each in _HEAR_ONLY),
)


def deletions(chance: random.Random) -> tuple[Deletion, ...]:
    """What one visit of the operator deletes: mostly one object, sometimes several at once."""
    return tuple(chance.sample(DELETIONS, chance.choice((1, 1, 2, 4))))


async def delete(broker: str, these: tuple[Deletion, ...]) -> None:
    """Delete them; what is not there, and a queue that is not empty, stays as it is."""
    for each in these:
        try:
            async with asyncio.timeout(ACT_SECONDS), await aio_pika.connect(broker) as connection:
                await _delete(await connection.channel(), each)
        except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
            continue  # the broker is away, or somebody was quicker


async def _delete(channel: aio_pika.abc.AbstractChannel, each: Deletion) -> None:
    match each.kind:
        case Kind.EXCHANGE:
            await channel.exchange_delete(each.name)
        case Kind.BINDING if each.to == HEARD:
            heard = await channel.get_exchange(HEARD, ensure=False)
            await heard.unbind(each.name, each.key)
        case Kind.BINDING:
            queue = await channel.get_queue(each.to, ensure=False)
            await queue.unbind(each.name, each.key)
        case Kind.QUEUE:
            queue = await channel.declare_queue(each.name, passive=True)
            if not queue.declaration_result.message_count:
                await channel.queue_delete(each.name)
