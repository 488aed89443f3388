"""Declares a topology, and turns the broker's refusals into errors that say how to resolve them."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from aiormq.abc import AbstractChannel

from hocket.broker.mismatch import mismatch, missing
from hocket.broker.port import Depth
from hocket.broker.rabbitmq.connection import OpenConnection
from hocket.broker.rabbitmq.errors import Broken, Refused, client_call, not_yet
from hocket.broker.rabbitmq.errors import missing as is_missing
from hocket.broker.topology import Binding, Exchange, Queue, Topology
from hocket.errors import ConfigError, TransportError

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>queue|exchange) '(?P<name>[^']+)' in vhost '[^']*': "
    r"received (?P<received>.+?) but current is (?P<current>.+)$"
)
#: Longest wait for what a queue holds, in seconds.
ANSWER_SECONDS = 20.0
#: How the words of a refusal by permissions begin.
FORBIDDEN = "ACCESS_REFUSED"
_DOWN = re.compile(r"durable queue '(?P<name>[^']+)'")
_QUOTED = re.compile(r"'([^']*)'")


class _NoRight(Exception):
    """The broker refused because of the user's permissions; the text is the broker's."""


class QueueDown(TransportError):
    """A queue exists but is not running on the broker; it usually comes up without help."""


def sentence(said: str, kind: str, name: str, where: str) -> str:
    """The text of the `ConfigError` for an object that the broker refused with these words."""
    found = _INEQUIVALENT.search(said)
    if found is not None:
        wanted, existing = _value(found["received"]), _value(found["current"])
        return mismatch(found["kind"], found["name"], found["argument"], wanted, existing)
    if kind == "binding" and said.startswith("NOT_FOUND"):
        quoted = _QUOTED.search(said)
        return missing(name, quoted[1] if quoted else "one end of it")
    if said.startswith(FORBIDDEN):
        return (
            f"the broker at {where} does not let this user declare {kind} {name}: {said}. Grant the user `configure` "
            f"there, or have an administrator import the definitions that `hocket topology` prints"
        )
    return f"the broker at {where} does not accept {kind} {name}: {said}"


def down(said: str, where: str) -> str:
    """The sentence about a queue that exists but is down, with what to do if it stays down."""
    found = _DOWN.search(said)
    name = found["name"] if found else "of this service"
    return (
        f"the broker at {where} does not have queue {name} up: {said}. This process waits for it; it is up again once "
        f"its node is up. If all nodes are up and this stays, the broker has lost {name}, as RabbitMQ 3.10 "
        f"does when it is killed within a second after first declaring it, and with it what was declared in that "
        f"second; neither deleting nor declaring brings it back: name a fresh virtual host in HOCKET_BROKER_URL "
        f"(rabbitmqctl add_vhost NAME, set_permissions), or start the node on an empty data folder"
    )


def _value(said: str) -> str:
    quoted = _QUOTED.search(said)
    return quoted[1] if quoted else said.strip()


async def declare(
    session: OpenConnection, topology: Topology, where: str, without_right: set[str] | None = None
) -> None:
    """Declare all on a separate channel; what this user may not declare must be there already.

    `without_right` keeps what the broker refused for want of a right, so that the next time it is only looked at: each
    refusal costs a channel and a line in the broker's log. Raises `ConfigError`, `QueueDown` where a queue is down, and
    another `TransportError` when the connection is lost.
    """
    try:
        await _Declaring(session, where, set() if without_right is None else without_right).all(topology)
    except (Broken, Refused) as failed:
        raise TransportError(f"declaring on the broker at {where} failed: {failed}") from failed


async def depth(session: OpenConnection, queue: str, where: str) -> Depth | None:
    """What waits in a queue, asked on a separate channel; None where there is none of that name."""
    try:
        channel = await session.channel(confirms=False)
        found = await client_call(channel.queue_declare(queue=queue, passive=True), ANSWER_SECONDS)
        await client_call(channel.close())
    except Refused as refused:
        if is_missing(refused) and not not_yet(refused):
            return None
        raise TransportError(f"the broker at {where} does not show queue {queue}: {refused}") from refused
    except Broken as broken:
        raise TransportError(f"the broker at {where} does not show queue {queue}: {broken}") from broken
    return Depth(found.message_count or 0, found.consumer_count or 0)


async def remove(session: OpenConnection, queue: str, where: str) -> bool:
    """Delete a queue, on a separate channel; False where it has consumers. One that is gone is no error."""
    found = await depth(session, queue, where)
    if found is None:
        return True
    if found.consumers:
        return False
    try:
        channel = await session.channel(confirms=False)
        await client_call(channel.queue_delete(queue), ANSWER_SECONDS)
        await client_call(channel.close())
    except (Broken, Refused) as failed:
        raise TransportError(f"the broker at {where} does not delete queue {queue}: {failed}") from failed
    return True


async def unbind(session: OpenConnection, bindings: Sequence[Binding], where: str) -> None:
    """Remove bindings of queues, on a separate channel; one that is gone is no error to the broker."""
    try:
        channel = await session.channel(confirms=False)
        for each in bindings:
            unbound = channel.queue_unbind(each.destination, each.source, each.key)
            await client_call(unbound, ANSWER_SECONDS)
        await client_call(channel.close())
    except (Refused, Broken) as failed:
        raise TransportError(f"the broker at {where} does not remove a binding: {failed}") from failed


def in_declaring_order(bindings: Iterable[Binding]) -> list[Binding]:
    """The order in which nothing is missed for good while only some bindings exist: from queues to publishers.

    A binding from exchange to exchange comes last: what the log already keeps is taken from there (RULES 4.8).
    """
    every = list(bindings)
    forwarding_sources = {each.source for each in every if each.to_exchange}
    return sorted(every, key=lambda each: (each.source in forwarding_sources, each.to_exchange))


def forwarding(topology: Topology) -> dict[str, tuple[str, ...]]:
    """For each exchange, the exchanges that it forwards to: by a binding, or as the alternate of a bound one.

    The publisher is not told when one of them is deleted: the message is confirmed by the other queues that get it.
    """
    alternate = {each.name: each.arguments.get("alternate-exchange") for each in topology.exchanges}
    targets: dict[str, list[str]] = {}
    for binding in topology.bindings:
        if binding.to_exchange:
            others = [binding.destination, alternate.get(binding.destination)]
            targets.setdefault(binding.source, []).extend(each for each in others if isinstance(each, str))
    return {source: tuple(dict.fromkeys(names)) for source, names in targets.items()}


@dataclass(slots=True)
class _Declaring:
    """One round of declaring, on one channel after the other: a refusal closes the channel."""

    session: OpenConnection
    where: str
    without_right: set[str]
    _channel: AbstractChannel | None = None

    async def all(self, topology: Topology) -> None:
        for exchange in topology.exchanges:
            await self._exchange(exchange)
        for queue in topology.queues:
            await self._queue(queue)
        for binding in in_declaring_order(topology.bindings):
            await self._binding(binding)
        if self._channel is not None:
            await client_call(self._channel.close())

    async def _exchange(self, exchange: Exchange) -> None:
        def call(channel: AbstractChannel, passive: bool) -> Awaitable[object]:
            return channel.exchange_declare(
                exchange=exchange.name, exchange_type=exchange.kind, durable=True, passive=passive,
                arguments=dict(exchange.arguments),
            )  # fmt: skip

        await self._object("exchange", exchange.name, call)

    async def _queue(self, queue: Queue) -> None:
        def call(channel: AbstractChannel, passive: bool) -> Awaitable[object]:
            return channel.queue_declare(
                queue=queue.name, durable=True, passive=passive, arguments=dict(queue.arguments)
            )

        await self._object("queue", queue.name, call)

    async def _object(self, kind: str, name: str, call: Callable[[AbstractChannel, bool], Awaitable[object]]) -> None:
        known, said = f"{kind} {name}", ""
        if known not in self.without_right:
            try:
                await self._call(kind, name, lambda channel: call(channel, False))
            except _NoRight as no_right:
                self.without_right.add(known)
                said = str(no_right)
            else:
                return
        try:
            await self._call(kind, name, lambda channel: call(channel, True))
        except ConfigError as absent:
            self.without_right.discard(known)
            raise ConfigError(sentence(said or f"{FORBIDDEN} - to declare it", kind, name, self.where)) from absent

    async def _binding(self, binding: Binding) -> None:
        """A binding cannot be looked at: without the right to make it, it is believed to be there."""
        name = f"{binding.source} -> {binding.destination} ({binding.key!r})"
        if f"binding {name}" in self.without_right:
            return

        def call(channel: AbstractChannel) -> Awaitable[object]:
            if binding.to_exchange:
                return channel.exchange_bind(
                    destination=binding.destination, source=binding.source, routing_key=binding.key
                )
            return channel.queue_bind(binding.destination, binding.source, binding.key)

        try:
            await self._call("binding", name, call)
        except _NoRight:
            self.without_right.add(f"binding {name}")

    async def _call(self, kind: str, name: str, call: Callable[[AbstractChannel], Awaitable[object]]) -> None:
        if self._channel is None:
            self._channel = await self.session.channel(confirms=False)
        try:
            await client_call(call(self._channel))
        except Refused as refused:
            self._channel = None
            said = str(refused)
            if not_yet(refused):
                raise QueueDown(down(said, self.where)) from refused
            if said.startswith(FORBIDDEN):
                raise _NoRight(said) from refused
            raise ConfigError(sentence(said, kind, name, self.where)) from refused
