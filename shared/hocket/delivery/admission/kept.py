"""Reads what the ledger keeps of a step for its undo: the input and the results."""

from hocket.declarations.subscription import Subscription
from hocket.envelope.cloudevent import Received
from hocket.errors import Undecodable
from hocket.event import Heard


def input_of(step: Subscription, received: Received) -> Heard:
    """The input of a step, perhaps in an older version. `Undecodable` where the step no longer reads it."""
    envelope = received.envelope
    path = step.upcast_path(envelope.type, envelope.version)
    if path is None:
        raise Undecodable("input", f"{step.queue} no longer reads {envelope.type} version {envelope.version}")
    return path.read(received)


def result_of(subscription: Subscription, received: Received) -> Heard:
    """The result of a step, perhaps in an older version. `Undecodable` where its undo no longer reads it."""
    envelope = received.envelope
    path = subscription.results.get((envelope.type, envelope.version))
    if path is None:
        raise Undecodable("results", f"{subscription.queue} no longer reads {envelope.type} version {envelope.version}")
    return path.read(received)
