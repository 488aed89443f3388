"""The marker of a backfill: what stands behind it in the log was said after the queue was bound (RULES 7.5 b)."""

from hocket.broker.port import Delivery, Message, Publishing, Verdict
from hocket.broker.topology import MARKER
from hocket.envelope.cloudevent import CONTENT_TYPE, MARKER_TYPE, Envelope, encode
from hocket.errors import TransportError
from hocket.runtime import Runtime
from hocket.streams.backfill.state import Backfill

#: The header of a marker that has the id of its backfill.
HEADER = "hocket-backfill"


async def mark_log(runtime: Runtime, row: Backfill, transport: Publishing) -> None:
    """Send a marker of this backfill by the service's own exchange. `TransportError` where the log has not got it."""
    id = runtime.ids.uuid7()
    envelope = Envelope(
        id=id, source=f"/{runtime.service}", type=MARKER_TYPE, version=1, subject=f"backfill/{row.subscription}",
        time=runtime.clock.now(), correlation_id=id, idempotency_key=id, data={"backfill": row.id},
    )  # fmt: skip
    message = Message(
        runtime.service, MARKER, encode(envelope, heard=True), CONTENT_TYPE, {HEADER: row.id}, type=MARKER_TYPE,
        correlation_id=id, app_id=runtime.service,
    )  # fmt: skip
    [answer] = await transport.publish([message])
    if answer.verdict is not Verdict.CONFIRMED:
        raise TransportError(
            f"the marker of the backfill of {row.subscription} did not reach hocket.log ({answer.verdict.value}: "
            f"{answer.reason or 'no reason given'}): the exchange {runtime.service} must be bound to it with the "
            f"routing key {MARKER}, see `hocket topology`"
        )


def is_marker(delivery: Delivery, row: Backfill) -> bool:
    """Whether a message of the log is a marker of this backfill."""
    return delivery.routing_key == MARKER and delivery.headers.get(HEADER) == row.id
