"""Station settle: acks many deliveries at once, after their commit."""

from collections.abc import Sequence

from hocket.broker.port import Consumer, Handle
from hocket.delivery.arrival import Arrival
from hocket.outcome import GiveBack

PROMISE = "many deliveries are acked at once, after their commit; nothing is settled before its commit"


def settle(arrivals: Sequence[Arrival]) -> None:
    """Ack deliveries that were committed, give back those that a stop interrupted."""
    acks: dict[int, tuple[Consumer, list[Handle]]] = {}
    backs: dict[int, tuple[Consumer, list[Handle]]] = {}
    for each in arrivals:
        into = backs if each.outcome is None or isinstance(each.outcome, GiveBack) else acks
        if id(each.consumer) not in into:
            into[id(each.consumer)] = (each.consumer, [])
        into[id(each.consumer)][1].append(each.delivery.handle)
    for consumer, handles in acks.values():
        consumer.ack(handles)
    for consumer, handles in backs.values():
        consumer.give_back(handles)
