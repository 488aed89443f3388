"""What stands on the broker of a service and is declared no more: bindings and queues that nobody hears."""

from collections.abc import Collection
from dataclasses import dataclass

from hocket.broker.topology import HEARD, Binding, Topology


@dataclass(frozen=True, slots=True)
class BrokerObjects:
    """What stands in a virtual host: the names of its queues, and its bindings, also those of others."""

    queues: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class Leftover:
    """What nobody hears any more, with the reason: a queue and all its bindings, or (`queue` is "") one binding."""

    why: str
    bindings: tuple[Binding, ...]
    queue: str = ""


def leftovers(service: str, declared: Topology, former: Collection[str], found: BrokerObjects) -> list[Leftover]:
    """What stands of a service and is declared by it no more (RULES 10.2): queues first, then single bindings.

    Only queues `SERVICE.*` are looked at, and of their bindings those that the kit makes: from `hocket.heard` and from
    the service's own exchange. `former` are the queues of former names: they are left alone with all that is theirs,
    for an older version may be at work there.
    """
    own = {name for name in found.queues if name.startswith(f"{service}.")}
    gone = own - {each.name for each in declared.queues} - set(former)
    lost = [
        Leftover(
            f"no handler of {service} has this name",
            tuple(each for each in found.bindings if each.source and _into(each, queue)),
            queue,
        )
        for queue in sorted(gone)
    ]
    judged = own - gone - set(former)
    for each in dict.fromkeys(found.bindings):
        ours = each.source in {HEARD, service} and not each.to_exchange and each.destination in judged
        if ours and each not in declared.bindings:
            what = f"reads no {each.key}" if each.source == HEARD else f"is not and was not called {each.key!r}"
            lost.append(Leftover(f"{each.destination} {what}", (each,)))
    return lost


def _into(binding: Binding, queue: str) -> bool:
    return binding.destination == queue and not binding.to_exchange
