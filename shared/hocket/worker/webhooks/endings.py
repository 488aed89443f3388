"""What is written for a push that can be said: its key, its body's key where equal ones are one, and the events."""

from hocket.outbox.builder import Causation
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite
from hocket.worker.webhooks.interpret import Interpreted
from hocket.worker.webhooks.keys import Keys


def endings(
    outside: OutsideTransactions, keys: Keys, read: Interpreted, flow: str, receipt: bytes = b""
) -> tuple[Ending, Ending | None]:
    """Two endings that stand or fall together; the events are keyed by the push's key, at each retry the same."""
    service = outside.runtime.service
    cause = Causation((f"/{service}", "", keys.name), service, flow, inbox_key=keys.id)
    rows = outside.builder.rows(read.said, cause, outside.declared.says)
    said, hashed = tuple(row.event_id for row in rows), keys.hash + read.events_hash

    def claim(key: bytes, name: str) -> InboxWrite:
        handled = InboxState.HANDLED
        return InboxWrite(InboxRow(key, service, name, handled, 1, correlation_id=flow, said=said, data_hash=hashed), 1)

    also = Ending(claim(keys.body, keys.body_name)) if keys.body is not None else None
    return Ending(claim(keys.id, keys.name), rows, receipt=receipt), also
