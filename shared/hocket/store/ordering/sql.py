"""Names of the columns of lines and of what is parked, and rows of the latter as outbox rows."""

from typing import Any

from hocket.store import row_codec
from hocket.store.records import OrderedWrite, OutboxRow
from hocket.store.tables.ordering import LINES, PARKED

LINE_NAMES = [column.name for column in LINES.columns]
PARKED_NAMES = [column.name for column in PARKED.columns]
LINE_COLUMNS, PARKED_COLUMNS = ", ".join(LINE_NAMES), ", ".join(PARKED_NAMES)
#: Where the columns of a message stand in `row_codec.outbox_values`.
_MESSAGE = slice(8, 17)


def parked_values(write: OrderedWrite) -> tuple[Any, ...]:
    """What an ending parks, in the order of the columns."""
    row = write.parked
    assert row is not None, "what is parked is a whole delivery"
    message = row_codec.outbox_values(row, None, 0.0)[_MESSAGE]
    return write.subscription, write.key, write.subject, write.place, row.event_id, *message


def parked_row(values: Any) -> tuple[tuple[str, str], OutboxRow]:
    """What `parked_values` wrote: its line, and a row that the service sends to itself now."""
    subscription, key, subject, _place, event_id, *message = tuple(values)
    return (subscription, subject), row_codec.outbox_row(
        (0, "self", 0.0, None, event_id, subject, bytes(key), "", *message, 0.0)
    )
