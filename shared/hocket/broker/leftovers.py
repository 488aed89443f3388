"""Finds queues and bindings of a service that exist on the broker and are no longer declared."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hocket.broker.topology import HEARD, Binding, Topology

#: `SERVICE.HANDLER.NUMBER` is reserved for one queue of several of a subscription (docs/wire.md).
_SHARD = re.compile(r"\.[^.]+\.\d+\Z")
#: `SERVICE.PROJECTION@NUMBER` is the queue of a generation, which the service removes by itself (RULES 14.4).
_GENERATION = re.compile(r"@\d+(\.|\Z)")


@dataclass(frozen=True, slots=True)
class BrokerObjects:
    """What exists in a virtual host: the names of its queues, and its bindings, of all services."""

    queues: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class Leftover:
    """One object that is no longer declared, and why: a queue and all its bindings, or (`queue` is "") one binding."""

    why: str
    bindings: tuple[Binding, ...]
    queue: str = ""


def leftovers(service: str, declared: Topology, former: Collection[str], found: BrokerObjects) -> list[Leftover]:
    """The objects of a service that it no longer declares (RULES 10.2): queues first, then single bindings.

    Only queues `SERVICE.*` are considered, and only those of their bindings that the kit makes: from `hocket.heard` and
    from the service's own exchange. `former` are queues under former names: they are left out with their bindings,
    because an older version may still use them. Queues `SERVICE.HANDLER.NUMBER` are a reserved name and left out too,
    and so are generations.
    """
    own = {name for name in found.queues if name.startswith(f"{service}.") and not _SHARD.search(name)}
    own -= {name for name in own if _GENERATION.search(name)}
    gone = own - {each.name for each in declared.queues} - set(former)
    lost = [
        Leftover(
            f"no handler of {service} has this name",
            tuple(each for each in found.bindings if each.source and _into(each, queue)),
            queue,
        )
        for queue in sorted(gone)
    ]
    checked = own - gone - set(former)
    for each in dict.fromkeys(found.bindings):
        ours = each.source in {HEARD, service} and not each.to_exchange and each.destination in checked
        if ours and each not in declared.bindings:
            what = f"reads no {each.key}" if each.source == HEARD else f"is not and was not called {each.key!r}"
            lost.append(Leftover(f"{each.destination} {what}", (each,)))
    return lost


def _into(binding: Binding, queue: str) -> bool:
    return binding.destination == queue and not binding.to_exchange
