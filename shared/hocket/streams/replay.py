"""Publishes one delivery straight to a subscription: what a person replays or lets go (RULES 4.7, 8.4, 9.6)."""

from collections.abc import Mapping
from types import MappingProxyType

from hocket.broker.port import Message, Transport, Verdict
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.delivery.ordering.turn import DISCARD
from hocket.errors import TransportError


async def send(
    transport: Transport, sender: str, subscription: str, body: bytes, content_type: str, *,
    replay: str, attempt: int, headers: Mapping[str, object] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Publish as service `sender` and wait for the confirm; foreign `headers` are sent along.

    Raises `TransportError` where the broker does not take it.
    """
    service = subscription.partition(".")[0]
    sent = {**foreign_of(headers), "hocket-attempt": attempt, "hocket-replay": replay}
    [answer] = await transport.publish([Message(service, subscription, body, content_type, sent, app_id=sender)])
    if answer.verdict is not Verdict.CONFIRMED:
        raise TransportError(
            f"the replay to {subscription} is {answer.verdict.value}: {answer.reason or 'no reason given'}; "
            "start the service once on this broker, then replay again"
        )


async def let_go(
    transport: Transport, sender: str, subscription: str, body: bytes, content_type: str, *,
    death: str, attempt: int, headers: Mapping[str, object] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Tell an ordered subscription, as service `sender`, that the head which died so is given up (RULES 9.6).

    Raises `TransportError` where the broker does not take it.
    """
    service = subscription.partition(".")[0]
    sent = {**foreign_of(headers), "hocket-attempt": attempt, DISCARD: death}
    [answer] = await transport.publish([Message(service, subscription, body, content_type, sent, app_id=sender)])
    if answer.verdict is not Verdict.CONFIRMED:
        raise TransportError(
            f"the discard to {subscription} is {answer.verdict.value}: {answer.reason or 'no reason given'}; "
            "start the service once on this broker, then discard again"
        )
