"""Publishes one delivery straight to a subscription: what a person replays or lets go (RULES 4.7, 8.4, 9.6)."""

from collections.abc import Mapping
from types import MappingProxyType

from hocket.broker.port import Message, Transport, Verdict
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.delivery.ordering.turn import DISCARD
from hocket.errors import TransportError


async def send(
    transport: Transport, sender: str, subscription: str, body: bytes, content_type: str, *,
    attempt: int, replay: str = "", death: str = "", headers: Mapping[str, object] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Publish as service `sender` and wait for the confirm; foreign `headers` are sent along.

    A `replay` is handled; a `death` tells an ordered subscription that the head which died so is let go (RULES 9.6).
    Raises `TransportError` where the broker does not take it.
    """
    service, what = subscription.partition(".")[0], "discard" if death else "replay"
    why = {DISCARD: death} if death else {"hocket-replay": replay}
    sent = {**foreign_of(headers), "hocket-attempt": attempt, **why}
    [answer] = await transport.publish([Message(service, subscription, body, content_type, sent, app_id=sender)])
    if answer.verdict is not Verdict.CONFIRMED:
        raise TransportError(
            f"the {what} to {subscription} is {answer.verdict.value}: {answer.reason or 'no reason given'}; "
            f"start the service once on this broker, then {what} again"
        )
