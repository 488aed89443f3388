"""What the contract needs of a broker under test, and what its tests share: waiting, names, collected deliveries."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from hocket.broker.port import Consumer, Delivery, Handle, Message, Transport
from hocket.broker.topology import Topology, kit, of_service, routing_key

#: Longest wait for a thing that must happen, in seconds.
PATIENCE = 30.0
#: Seconds between two checks.
CHECK_SECONDS = 0.01
#: How often a test checks that something does not happen; in memory it would have happened by then.
QUIET_CHECKS = 30

_numbers = itertools.count(1)


class World(Protocol):
    """A broker under test, with the faults that a test can cause."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body that the broker accepts, in bytes."""
        ...

    async def transport(self, name: str) -> Transport:
        """A new transport, not opened yet."""
        ...

    async def cut(self, name: str) -> None:
        """Break every connection of that transport; it can reconnect at once."""
        ...

    async def withhold(self, name: str, on: bool) -> None:
        """Let what that transport sends arrive, but withhold all answers to it, until off or cut."""
        ...

    async def alarm(self, on: bool) -> None:
        """Let the broker block publishers."""
        ...

    async def depth(self, queue: str) -> int:
        """How many messages the queue holds, unsettled or waiting."""
        ...


async def until(holds: Callable[[], object], what: str) -> None:
    """Return when `holds()`; fail with `what` after `PATIENCE`."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"did not happen within {PATIENCE:.0f} s: {what}"
        await asyncio.sleep(CHECK_SECONDS)


async def never(happens: Callable[[], object], what: str) -> None:
    """Fail if `happens()` within `QUIET_CHECKS`."""
    for _ in range(QUIET_CHECKS):
        assert not happens(), what
        await asyncio.sleep(CHECK_SECONDS)


async def until_depth(world: World, queue: str, depth: int) -> None:
    """Return when the queue has exactly so many messages."""
    end = asyncio.get_running_loop().time() + PATIENCE
    found = await world.depth(queue)
    while found != depth:
        assert asyncio.get_running_loop().time() < end, f"{queue} has {found} messages, not {depth}"
        await asyncio.sleep(CHECK_SECONDS)
        found = await world.depth(queue)


class Room:
    """Unique names for one test: a service with queues, and an event type that it hears."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.service = f"shop{self.number}"
        self.queue = f"{self.service}.charge"
        self.key = routing_key(f"thing{self.number}.done", 1)

    def topology(self, *more: str, hears: bool = True) -> Topology:
        """The kit's objects and a service with the queue; `more` are names of further handlers that hear the same."""
        names = (self.queue, *(f"{self.service}.{name}" for name in more))
        return kit() + of_service(self.service, [(name, [self.key] if hears else []) for name in names])

    def to_queue(self, body: bytes = b"{}", **more: str | int) -> Message:
        """A message addressed to the queue; `more` are headers."""
        return Message(self.service, self.queue, body, "application/json", more)

    def said(self, body: bytes = b"{}") -> Message:
        """A message as a service says an event."""
        return Message("hocket.events", self.key, body, "application/json")


class Basket:
    """Collects deliveries."""

    def __init__(self) -> None:
        self.all: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.all.append(delivery)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies, in order of arrival."""
        return [one.body for one in self.all]

    def handles(self, *bodies: bytes) -> list[Handle]:
        """The handles of the latest delivery of each of these bodies; of all deliveries if none is given."""
        if not bodies:
            return [one.handle for one in self.all]
        latest = {one.body: one.handle for one in self.all}
        return [latest[body] for body in bodies]

    async def has(self, count: int) -> None:
        """Return when at least so many have come."""
        await until(lambda: len(self.all) >= count, f"{count} deliveries, {len(self.all)} came")


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Bodies that are consecutive numbers."""
    return [b"%d" % number for number in range(first, first + count)]


async def opened(world: World, name: str, topology: Topology) -> Transport:
    """A transport that is up and has declared; it declares again after each reconnect."""
    transport = await world.transport(name)
    transport.on_ready(lambda: transport.declare(topology))
    await transport.open()
    await asyncio.wait_for(transport.until_ready(), PATIENCE)
    return transport


async def ended(*consumers: Consumer) -> None:
    """Cancel and close, in this order (RULES 1.2)."""
    for consumer in consumers:
        await consumer.cancel()
        await consumer.close()


async def closed(transports: Sequence[Transport]) -> None:
    """Close all."""
    for transport in transports:
        await transport.close()
