"""What the contract of the transports needs of a broker under test, and words that its tests share."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from hocket.broker.port import Consumer, Delivery, Handle, Message, Transport
from hocket.broker.topology import Topology, kit, of_service, routing_key

#: Longest wait for a thing that must happen, in seconds.
PATIENCE = 30.0
#: Between two looks, in seconds.
LOOK_SECONDS = 0.01
#: Turns of the loop in which a thing that must not happen would have happened in memory, and time for the network.
QUIET_LOOKS = 30

_numbers = itertools.count(1)


class World(Protocol):
    """A broker under test, with the faults a test may ask of it."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body the broker takes, in bytes."""
        ...

    async def transport(self, name: str) -> Transport:
        """A new transport that nobody opened yet."""
        ...

    async def cut(self, name: str) -> None:
        """Break every connection of that transport; it may connect again at once."""
        ...

    async def withhold(self, name: str, on: bool) -> None:
        """Let what that transport sends arrive, but hold all answers to it back, until off or cut."""
        ...

    async def alarm(self, on: bool) -> None:
        """Let the broker hold publishers back."""
        ...

    async def depth(self, queue: str) -> int:
        """How many messages the queue has, in work or waiting."""
        ...


async def until(holds: Callable[[], object], what: str) -> None:
    """Return when `holds()`; fail with `what` after `PATIENCE`."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"waited {PATIENCE:.0f} s in vain: {what}"
        await asyncio.sleep(LOOK_SECONDS)


async def never(happens: Callable[[], object], what: str) -> None:
    """Fail when `happens()` within some looks."""
    for _ in range(QUIET_LOOKS):
        assert not happens(), what
        await asyncio.sleep(LOOK_SECONDS)


async def until_depth(world: World, queue: str, depth: int) -> None:
    """Return when the queue has exactly so many messages."""
    end = asyncio.get_running_loop().time() + PATIENCE
    found = await world.depth(queue)
    while found != depth:
        assert asyncio.get_running_loop().time() < end, f"{queue} has {found} messages, not {depth}"
        await asyncio.sleep(LOOK_SECONDS)
        found = await world.depth(queue)


class Room:
    """Names that no other test of the same broker uses: a service with queues, and an event type it hears."""

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
        """A message straight to the queue; `more` are headers."""
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
        """The handles of the last arrival of these bodies; of everything where none are named."""
        if not bodies:
            return [one.handle for one in self.all]
        latest = {one.body: one.handle for one in self.all}
        return [latest[body] for body in bodies]

    async def has(self, count: int) -> None:
        """Return when at least so many have come."""
        await until(lambda: len(self.all) >= count, f"{count} deliveries, {len(self.all)} came")


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Bodies that tell their place."""
    return [b"%d" % place for place in range(first, first + count)]


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
