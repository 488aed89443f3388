"""Declaring a topology, and the sentences for what the broker does not accept."""

import re
from collections.abc import Iterable

from aiormq.abc import AbstractChannel as Wire

from hocket.broker.mismatch import mismatch, missing
from hocket.broker.rabbitmq.connection import OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, asked
from hocket.broker.topology import Binding, Topology
from hocket.errors import ConfigError, TransportError

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>queue|exchange) '(?P<name>[^']+)' in vhost '[^']*': "
    r"received (?P<received>.+?) but current is (?P<current>.+)$"
)
#: The end of what a node says that has just started, or lost its neighbours; mostly it passes.
NOT_YET = "is down or inaccessible"
_DOWN = re.compile(r"durable queue '(?P<name>[^']+)'")
_QUOTED = re.compile(r"'([^']*)'")


class Down(TransportError):
    """A queue stands in the broker's books and does not run: mostly it comes up by itself."""


def sentence(said: str, kind: str, name: str, where: str) -> str:
    """The text of the `ConfigError` for the broker's words about an object."""
    found = _INEQUIVALENT.search(said)
    if found is not None:
        wanted, standing = _value(found["received"]), _value(found["current"])
        return mismatch(found["kind"], found["name"], found["argument"], wanted, standing)
    if kind == "binding" and said.startswith("NOT_FOUND"):
        quoted = _QUOTED.search(said)
        return missing(name, quoted[1] if quoted else "one end of it")
    if said.startswith("ACCESS_REFUSED"):
        return (
            f"the broker at {where} does not let this user declare {kind} {name}: {said}. Grant the user `configure` "
            f"there, or let somebody who may load the definitions that `hocket topology` prints"
        )
    return f"the broker at {where} does not accept {kind} {name}: {said}"


def down(said: str, where: str) -> str:
    """The sentence about a queue that stands and does not run, with the way out where that does not pass."""
    found = _DOWN.search(said)
    name = found["name"] if found else "of ours"
    return (
        f"the broker at {where} does not have queue {name} up: {said}. This process waits for it; it passes once the "
        f"node that keeps it is up. If all nodes are up and this stays, the broker has lost {name}, as RabbitMQ 3.10 "
        f"does when it is killed within a second after first declaring it, and with it what was declared in that "
        f"second; neither deleting nor declaring brings it back: name a fresh virtual host in HOCKET_BROKER_URL "
        f"(rabbitmqctl add_vhost NAME, set_permissions), or start the node on an empty data folder"
    )


def _value(said: str) -> str:
    quoted = _QUOTED.search(said)
    return quoted[1] if quoted else said.strip()


async def declare(session: OpenConnection, topology: Topology, where: str) -> None:
    """Declare all on a channel of its own.

    Raises `ConfigError`, `Down` where a queue does not run, and another `TransportError` when the link breaks.
    """
    try:
        channel = await session.channel(confirms=False)
        await _declare(channel, topology, where)
        await asked(channel.close())
    except (Broken, Refused) as failed:
        raise TransportError(f"declaring on the broker at {where} broke off: {failed}") from failed


def outward(bindings: Iterable[Binding]) -> list[Binding]:
    """The order in which least is missed while only some stand: from the queues up to where services say.

    What an exchange passes on to another comes before what it puts into queues of its own: a subscription that misses
    an event is worse than a log that does.
    """
    every = list(bindings)
    passing = {each.source for each in every if each.to_exchange}
    return sorted(every, key=lambda each: (each.source in passing, not each.to_exchange))


def passes_on(topology: Topology) -> dict[str, tuple[str, ...]]:
    """The exchanges that stand behind each: by a binding from exchange to exchange, or as the alternate of such a one.

    Nobody is told when one of them is deleted: what is published is confirmed by what else takes it.
    """
    alternate = {each.name: each.arguments.get("alternate-exchange") for each in topology.exchanges}
    behind: dict[str, list[str]] = {}
    for binding in topology.bindings:
        if binding.to_exchange:
            others = [binding.destination, alternate.get(binding.destination)]
            behind.setdefault(binding.source, []).extend(each for each in others if isinstance(each, str))
    return {source: tuple(dict.fromkeys(names)) for source, names in behind.items()}


async def _declare(channel: Wire, topology: Topology, where: str) -> None:
    kind, name = "", ""
    try:
        for exchange in topology.exchanges:
            kind, name = "exchange", exchange.name
            await asked(
                channel.exchange_declare(
                    exchange=name, exchange_type=exchange.kind, durable=True, arguments=dict(exchange.arguments)
                )
            )
        for queue in topology.queues:
            kind, name = "queue", queue.name
            await asked(channel.queue_declare(queue=name, durable=True, arguments=dict(queue.arguments)))
        for binding in outward(topology.bindings):
            kind, name = "binding", f"{binding.source} -> {binding.destination} ({binding.key!r})"
            if binding.to_exchange:
                await asked(
                    channel.exchange_bind(
                        destination=binding.destination, source=binding.source, routing_key=binding.key
                    )
                )
            else:
                await asked(channel.queue_bind(binding.destination, binding.source, binding.key))
    except Refused as refused:
        if str(refused).endswith(NOT_YET):
            raise Down(down(str(refused), where)) from refused
        raise ConfigError(sentence(str(refused), kind, name, where)) from refused
